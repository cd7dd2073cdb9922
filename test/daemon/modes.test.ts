import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Mode, modes as modeNames } from "../../config/gateway.ts";
import { type ModeChange, Modes, mostRestrictive } from "../../daemon/modes.ts";
import { FakeControl } from "../support/control.ts";

interface Site {
  readonly control: FakeControl;
  readonly records: ModeChange[];
}

function site(set: Record<string, string> = {}): Site {
  const control = new FakeControl();
  Object.assign(control.modes, set);
  return { control, records: [] };
}

async function begin(at: Site, ceiling?: Mode): Promise<Modes> {
  const modes = new Modes(
    { control: at.control, record: (change) => at.records.push(change) },
    { ceiling, agents: ["pump-guard", "x"], tools: ["stop-pump", "x"] },
  );
  await modes.start();
  return modes;
}

/** What the order of strictness means, written down again. */
const RANK: Readonly<Record<Mode, number>> = { observe: 0, dryRun: 1, approve: 2, auto: 3 };

describe("the most restrictive mode", () => {
  test("is one of the given, and no given one is stricter", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...modeNames), { minLength: 1 }), (given) => {
        const result = mostRestrictive(given);
        expect(given).toContain(result);
        expect(given.every((mode) => RANK[result] <= RANK[mode])).toBe(true);
      }),
    );
  });

  const maybe = fc.option(fc.constantFrom<Mode>(...modeNames), { nil: undefined });
  test("of file, gateway, agent and tool is what counts", async () => {
    await fc.assert(
      fc.asyncProperty(maybe, maybe, maybe, maybe, async (file, gateway, agent, tool) => {
        const set = Object.entries({ gateway, "agent:pump-guard": agent, "tool:stop-pump": tool });
        const given = Object.fromEntries(set.filter((pair): pair is [string, Mode] => pair[1] !== undefined));
        const modes = await begin(site(given), file);
        const counts = modes.effective("pump-guard", "stop-pump");
        for (const one of [file, gateway, agent, tool])
          if (one !== undefined) expect(RANK[counts]).toBeLessThanOrEqual(RANK[one]);
        const expected = Math.min(
          ...[file ?? "auto", gateway ?? file ?? "observe", agent ?? "auto", tool ?? "auto"].map((mode) => RANK[mode]),
        );
        expect(RANK[counts]).toBe(expected);
      }),
    );
  });
});

describe("modes", () => {
  test.each<[string, Record<string, string>, Mode | undefined, [string, string], Mode]>([
    ["a fresh gateway observes", {}, undefined, ["pump-guard", "stop-pump"], "observe"],
    ["the file's mode counts while nobody has set one", {}, "auto", ["pump-guard", "stop-pump"], "auto"],
    ["the file's mode is a ceiling", { gateway: "auto" }, "dryRun", ["pump-guard", "stop-pump"], "dryRun"],
    ["a tool's own", { gateway: "auto", "tool:stop-pump": "approve" }, undefined, ["x", "stop-pump"], "approve"],
    ["another tool's", { gateway: "auto", "tool:stop-pump": "approve" }, undefined, ["x", "x"], "auto"],
    ["an agent's own", { gateway: "auto", "agent:x": "dryRun" }, undefined, ["x", "stop-pump"], "dryRun"],
    ["a tool of an agent's name", { gateway: "auto", "agent:x": "dryRun" }, undefined, ["", "x"], "auto"],
    ["a person, who is no agent", { gateway: "auto", "agent:": "observe" }, undefined, ["", "x"], "auto"],
    ["a mode that nobody understands", { gateway: "turbo" }, "auto", ["x", "x"], "observe"],
    ["a name of Object", { gateway: "auto" }, undefined, ["constructor", "__proto__"], "auto"],
  ])("%s", async (_, set, file, [agent, tool], expected) => {
    expect((await begin(site(set), file)).effective(agent, tool)).toBe(expected);
  });

  test("allow nothing before they are read", () => {
    const at = site({ gateway: "auto" });
    const modes = new Modes(
      { control: at.control, record: () => undefined },
      { ceiling: "auto", agents: [], tools: [] },
    );
    expect(modes.effective("a", "b")).toBe("observe");
  });

  test("tighten at once, and last", async () => {
    const at = site({ gateway: "auto" });
    const modes = await begin(at);
    at.control.isSlow = true;
    const setting = modes.set("gateway", "observe", "maria");
    expect(modes.effective("x", "x")).toBe("observe");
    at.control.letGo();
    await setting;
    expect(at.records).toEqual([{ scope: "gateway", from: "auto", to: "observe", by: "maria" }]);
    expect((await begin(at)).effective("x", "x")).toBe("observe");
  });

  test("loosen only once that is written", async () => {
    const at = site();
    const modes = await begin(at);
    at.control.isSlow = true;
    const setting = modes.set("gateway", "auto", "maria");
    expect(modes.effective("x", "x")).toBe("observe");
    expect(at.records).toEqual([]);
    at.control.letGo();
    await setting;
    expect(modes.effective("x", "x")).toBe("auto");
    expect(at.records).toEqual([{ scope: "gateway", from: "observe", to: "auto", by: "maria" }]);
  });

  test("stay tight when somebody tightens while a loosening is on its way", async () => {
    const at = site({ gateway: "observe" });
    const modes = await begin(at);
    at.control.isSlow = true;
    const loosening = modes.set("gateway", "auto", "maria");
    const tightening = modes.set("gateway", "observe", "jan");
    at.control.letGo();
    await Promise.all([loosening, tightening]);
    expect(modes.effective("x", "x")).toBe("observe");
    expect(at.control.modes["gateway"]).toBe("observe");
    expect((await begin(at)).effective("x", "x")).toBe("observe");
  });

  test("on a full disk: a tightening counts and says that it will not last, a loosening changes nothing", async () => {
    const at = site({ gateway: "approve" });
    const modes = await begin(at);
    at.control.isFull = true;
    await expect(modes.set("gateway", "auto", "maria")).rejects.toMatchObject({ code: "MODE_NOT_KEPT" });
    expect(modes.effective("x", "x")).toBe("approve");
    await expect(modes.switch("tool:x", false, "maria")).rejects.toMatchObject({ code: "MODE_NOT_KEPT" });
    expect(modes.isOff("x", "x")).toBe("toolOff");
  });

  test("never go beyond the file, nor know names that are not there", async () => {
    const modes = await begin(site(), "approve");
    await expect(modes.set("gateway", "auto", "m")).rejects.toMatchObject({ code: "MODE_CEILING" });
    await expect(modes.set("tool:x", "auto", "m")).rejects.toMatchObject({ code: "MODE_CEILING" });
    await expect(modes.set("tool:stop-pmup", "observe", "m")).rejects.toMatchObject({ code: "MODE_SCOPE" });
    await expect(modes.switch("agent:nobody", false, "m")).rejects.toMatchObject({ code: "MODE_SCOPE" });
    await expect(modes.switch("gateway", false, "m")).rejects.toMatchObject({ code: "MODE_SCOPE" });
    await expect(modes.set("toString", "observe", "m")).rejects.toMatchObject({ code: "MODE_SCOPE" });
  });

  test("know which change is a tightening", async () => {
    const modes = await begin(site({ gateway: "approve", "tool:x": "dryRun" }));
    expect(modes.isTightening("gateway", "approve")).toBe(true);
    expect(modes.isTightening("gateway", "auto")).toBe(false);
    expect(modes.isTightening("tool:x", "approve")).toBe(false);
    expect(modes.isTightening("tool:stop-pump", "approve")).toBe(true);
  });
});

describe("switches", () => {
  test("turn one agent or one tool off, and on again", async () => {
    const at = site();
    const modes = await begin(at);
    expect(modes.isOff("x", "x")).toBeUndefined();
    await modes.switch("agent:x", false, "maria");
    expect([modes.isOff("x", "stop-pump"), modes.isOff("pump-guard", "x")]).toEqual(["agentOff", undefined]);
    await modes.switch("tool:x", false, "maria");
    expect([modes.isOff("pump-guard", "x"), modes.isOff("", "x")]).toEqual(["toolOff", "toolOff"]);
    expect((await begin(at)).isOff("x", "stop-pump")).toBe("agentOff");
    await modes.switch("agent:x", true, "jan");
    expect(modes.isOff("x", "stop-pump")).toBeUndefined();
    expect(at.records.map(({ scope, from, to, by }) => [scope, from, to, by])).toEqual([
      ["switch:agent:x", "on", "off", "maria"],
      ["switch:tool:x", "on", "off", "maria"],
      ["switch:agent:x", "off", "on", "jan"],
    ]);
  });

  test("that nobody understands are off", async () => {
    expect((await begin(site({ "switch:tool:x": "perhaps" }))).isOff("", "x")).toBe("toolOff");
  });
});
