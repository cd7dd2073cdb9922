import { afterEach, expect, test } from "vitest";
import { holdfast } from "../../scripts/trial/daemon.ts";
import { paced } from "../../scripts/trial/sensor.ts";
import { ActSite } from "../support/act-site.ts";
import { until } from "../support/bus.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const config = {
  limits: { effectsPerMinute: 10_000 },
  agents: {
    guard: {
      priority: "action",
      sources: [{ kind: "mqtt", topic: "pump/{pump}/heat", key: "pump", fields: { heat: { min: 0, max: 100 } } }],
      rules: [
        {
          id: "hot",
          when: "event.fields.heat > 50.0",
          do: [
            { tool: "cool", arguments: { pump: "event.key" } },
            { tool: "tell", arguments: { text: "'hot: ' + event.key" } },
          ],
        },
        { id: "burning", when: "event.fields.heat > 90.0", do: [{ tool: "look", arguments: { pump: "event.key" } }] },
      ],
    },
  },
  tools: {
    cool: { kind: "mqtt", topic: "plant/{pump}/command", payload: { cmd: "cool" }, class: "reversible" },
    tell: { kind: "notify" },
    look: { kind: "handoff", class: "reversible", executeWithinSeconds: 600 },
  },
  policy: [{ id: "all", effect: "permit" }],
};

let open: ActSite | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

async function site(mode?: string): Promise<ActSite> {
  open = await new ActSite().open(config);
  if (mode !== undefined) await open.ask("mode", { scope: "gateway", mode });
  return open;
}

const heat = (here: ActSite, pump: string, value: number): Promise<void> =>
  here.publish(`pump/${pump}/heat`, { heat: value });
const notifications = (here: ActSite): string[] =>
  here.daemon.lines.filter(({ tool }) => tool === "tell").map(({ text }) => String(text));

async function decided(here: ActSite, count: number): Promise<void> {
  await until("the decisions", () => here.records("decision").length >= count);
}

interface Task {
  readonly id: string;
  readonly arguments: object;
}

describeWithMosquitto("a gateway", () => {
  test("decides and proposes nothing while it observes, which a fresh one does", async () => {
    const here = await site();
    await heat(here, "p1", 95);
    await decided(here, 1);
    expect(here.records("decision")).toMatchObject([{ rules: [{ id: "hot", fired: true }, { id: "burning" }] }]);
    await here.ask("mode", { scope: "gateway", mode: "auto" });
    await heat(here, "p2", 60);
    await until("the effect", () => here.commands.length > 0);
    await until("the words", () => notifications(here).length > 0);
    expect((await here.told()).map(({ about }) => about)).toEqual(["p2"]);
    expect(here.records("intent").map(({ key }) => key)).toEqual(["p2", "p2"]);
    expect(here.records("proposal")).toEqual([]);
    expect(notifications(here)).toEqual(["hot: p2"]);
  });

  test("goes the whole way in dryRun, and nothing leaves it", async () => {
    const here = await site("dryRun");
    await heat(here, "p1", 95);
    await until("the ends", () => here.records("outcome").length >= 3);
    const said = holdfast(["actions", "--data", here.data, "--json"])
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(said).toHaveLength(3);
    for (const action of said)
      expect(action).toMatchObject({ state: "dryRun", dryRun: true, final: true, verdict: { effect: "permit" } });
    expect(said.map(({ tool }) => tool).sort()).toEqual(["cool", "look", "tell"]);
    expect(await here.told()).toEqual([]);
    expect(notifications(here)).toEqual([]);
    expect(await here.ask("handoffs")).toEqual([]);
    // What was only rehearsed does not become real with the mode, nor over a restart.
    await here.ask("mode", { scope: "gateway", mode: "auto" });
    await here.daemon.kill();
    await here.start();
    expect(await here.told()).toEqual([]);
  });

  test("sends nothing of a tool once it is switched off, in the middle of the work", async () => {
    const here = await site("auto");
    let isOver = false;
    let sent = 0;
    const sending = paced(
      200,
      () => isOver,
      () => {
        sent += 1;
        void heat(here, `p${sent}`, 60);
      },
    );
    await until("the work", () => here.commands.length > 50);
    await here.ask("switch", { scope: "tool:cool", on: false });
    const before = (await here.told()).length;
    const [decisions, told] = [here.records("decision").length, notifications(here).length];
    await until("more decisions", () => here.records("decision").length > decisions + 50);
    expect(await here.told()).toHaveLength(before);
    await until("words to people, which go on", () => notifications(here).length > told + 40);
    await here.ask("switch", { scope: "tool:cool", on: true });
    await until("the work again", () => here.commands.length > before + 20);
    isOver = true;
    await sending;
    expect(new Set(here.refused("cool"))).toEqual(new Set(["suppressed: toolOff"]));
  });

  test("tells people while it is stopped, and does nothing else", async () => {
    const here = await site("auto");
    const { nonce } = (await here.ask("stop", { why: "smoke" })) as { nonce: string };
    await heat(here, "p1", 95);
    await until("the words", () => notifications(here).length > 0);
    expect(notifications(here)).toEqual(["hot: p1"]);
    expect(here.refused("cool")).toEqual(["suppressed: latched"]);
    expect(here.refused("look")).toEqual(["suppressed: latched"]);
    expect(await here.ask("handoffs")).toEqual([]);
    await here.ask("release", { nonce });
    await heat(here, "p2", 60);
    await until("the effect", () => here.commands.length > 0);
    expect((await here.told()).map(({ about }) => about)).toEqual(["p2"]);
  });

  test("keeps a task for a person over restarts until one takes it, once", async () => {
    const here = await site("auto");
    await heat(here, "p1", 95);
    await until("the task", () => here.steps(here.intents("look")[0]?.id ?? "").length > 0);
    for (const end of ["kill", "stop"] as const) {
      await here.daemon[end]();
      await here.start();
      expect(await here.ask("handoffs")).toMatchObject([{ tool: "look", key: "p1", arguments: { pump: "p1" } }]);
    }
    const [task] = (await here.ask("handoffs")) as Task[];
    const id = task?.id ?? "";
    expect(await here.ask("take", { id })).toEqual({ id, state: "acknowledged" });
    expect(await here.ask("take", { id })).toMatchObject({ reason: "nothing waits under this id" });
    expect(here.steps(id)).toEqual(["sent", "acknowledged! taken"]);
    await here.daemon.kill();
    await here.start();
    expect(await here.ask("handoffs")).toEqual([]);
    expect(here.steps(id)).toEqual(["sent", "acknowledged! taken"]);
  });
});
