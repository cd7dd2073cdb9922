import { spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { connectAsync, type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { childPath } from "../../daemon/children.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { freePort, type RunningDaemon, startDaemon, temporaryFolder } from "../../scripts/trial/daemon.ts";

const joe = generateKeyPairSync("ed25519");
const eve = generateKeyPairSync("ed25519");
const ANN_TOKEN = "ann-has-this-for-the-test";

let folder: string;
let port: number;
let round = 0;
let data: string;
let daemon: RunningDaemon;
let plant: MqttClient;
let commands: string[] = [];

/** `without`: a person whom the file does not name any more. */
function configure(without?: string): string {
  const all: Record<string, object> = {
    // Whoever runs the tests is maria.
    maria: { roles: ["operator", "approver"], localUser: userInfo().username },
    joe: { roles: ["approver"], publicKey: joe.publicKey.export({ type: "spki", format: "der" }).toString("base64") },
    ann: { roles: ["approver"], tokenHash: createHash("sha256").update(ANN_TOKEN).digest("hex") },
  };
  if (without !== undefined) delete all[without];
  const source = { kind: "mqtt", topic: "sensor/{k}", key: "k", fields: { v: { min: 0, max: 1 } } };
  const tool = { kind: "mqtt", topic: "do/{k}", executeWithinSeconds: 20 };
  const file = join(folder, "holdfast.yaml");
  writeFileSync(
    file,
    JSON.stringify({
      schemaVersion: 1,
      bus: { kind: "embedded", port },
      mode: "auto",
      people: all,
      agents: {
        one: {
          sources: [source],
          rules: [rule("up", ["open"]), { ...rule("purge", ["purge"]), when: "event.fields.v > 0.9" }],
        },
        soon: { sources: [{ ...source, topic: "soon/{k}" }], rules: [rule("up", ["brief"])] },
      },
      tools: {
        open: { ...tool, class: "reversible" },
        purge: { ...tool, topic: "purge/{k}", class: "critical" },
        brief: { ...tool, topic: "brief/{k}", class: "reversible", approveWithinSeconds: 0.3 },
      },
      policy: [
        { id: "ask", effect: "requireApproval", tools: ["open", "brief"] },
        { id: "may", effect: "permit", tools: ["purge"] },
      ],
    }),
  );
  return file;
}

function rule(id: string, tools: readonly string[]): object {
  return { id, when: "event.fields.v > 0.5", do: tools.map((tool) => ({ tool, arguments: { k: "event.key" } })) };
}

interface Said {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function holdfast(...args: string[]): Said {
  const done = spawnSync(process.execPath, [childPath("daemon/main"), ...args, "--data", data], { encoding: "utf8" });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

const lines = (text: string): Record<string, unknown>[] =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Makes a rule fire for a new key; gives the proposals that wait for it. */
async function propose(value = 0.8, topic = "sensor"): Promise<string[]> {
  round += 1;
  await plant.publishAsync(`${topic}/k${round}`, `{"v":${value}}`, { qos: 1 });
  const mine = (): Record<string, unknown>[] =>
    lines(holdfast("actions", "--json").out).filter((one) => one["key"] === `k${round}` && one["approval"] !== null);
  await becomes(() => mine().length > 0, 60_000);
  return mine().map((one) => String(one["intent"]));
}

/** What is signed offline: with the text alone, on another machine. */
function signedBy(key: KeyObject, id: string, as: string): string {
  const text = holdfast("approve", id, "--as", as, "--print-text").out;
  return sign(null, Buffer.from(text), key).toString("base64");
}

function state(id: string): Record<string, unknown> | undefined {
  return lines(holdfast("actions", "--json").out).find((one) => one["intent"] === id);
}

/** Refusals that the log has of a proposal or of anything. */
function refusals(): string {
  return holdfast("audit", "show", "--json").out;
}

async function start(without?: string): Promise<void> {
  daemon = await startDaemon(configure(without), data);
  plant = await connectAsync(daemon.bus, { reconnectPeriod: 0 });
  plant.on("message", (topic) => commands.push(topic));
  await plant.subscribeAsync(["do/#", "purge/#", "brief/#"], { qos: 1 });
}

async function stop(): Promise<void> {
  await plant.endAsync(true);
  if (daemon.child.exitCode === null && daemon.child.signalCode === null) await daemon.stop();
}

beforeAll(async () => {
  folder = temporaryFolder("approvals");
  port = await freePort();
  data = join(folder, "data");
  mkdirSync(data);
  await start();
});
afterAll(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  commands = [];
});

describe("an approval", () => {
  test("by one person does it once, and counts no second time", async () => {
    const [id = ""] = await propose();
    expect(commands).toEqual([]);
    expect(holdfast("approve", id).status).toBe(0);
    expect(await becomes(() => state(id)?.["state"] === "acknowledged", 60_000)).toBe(true);
    const again = holdfast("approve", id);
    expect(again).toMatchObject({ status: 1, out: "Your answer does not count: it is decided already.\n" });
    expect(holdfast("deny", id)).toMatchObject({ status: 1 });
    // The decision behind an action is found by the action's id too.
    expect(holdfast("explain", id).out).toMatch(/^rule up/m);
    expect(commands).toHaveLength(1);
    expect(refusals()).toContain("decided already");
  });

  test("that is signed on another machine counts, and again after a restart it does not", async () => {
    const [id = ""] = await propose();
    const signature = signedBy(joe.privateKey, id, "joe");
    expect(holdfast("approve", id, "--as", "joe", "--signature", signature).status).toBe(0);
    expect(await becomes(() => state(id)?.["state"] === "acknowledged", 60_000)).toBe(true);
    expect(state(id)?.["approval"]).toMatchObject({ answers: [expect.objectContaining({ by: "joe" })] });
    await stop();
    await start();
    expect(holdfast("approve", id, "--as", "joe", "--signature", signature).status).toBe(1);
    expect(commands).toHaveLength(1);
  });

  test("with a wrong key, for another proposal, or by a stranger's token is refused and recorded", async () => {
    const [one = ""] = await propose();
    const [other = ""] = await propose();
    const count = (): number => lines(refusals()).length;
    const before = count();
    const wrongKey = signedBy(eve.privateKey, one, "joe");
    const forOther = signedBy(joe.privateKey, other, "joe");
    const token = join(folder, "wrong.token");
    writeFileSync(token, "not-anns", { mode: 0o600 });
    expect(holdfast("approve", one, "--as", "joe", "--signature", wrongKey).status).toBe(1);
    expect(holdfast("approve", one, "--as", "joe", "--signature", forOther).status).toBe(1);
    expect(holdfast("approve", one, "--as", "maria", "--signature", signedBy(joe.privateKey, one, "joe")).status).toBe(
      1,
    );
    expect(holdfast("approve", one, "--token-file", token).status).toBe(1);
    expect(await becomes(() => count() >= before + 4, 60_000)).toBe(true);
    expect(state(one)?.["state"]).toBe("awaitingApproval");
    expect(holdfast("deny", one).status).toBe(0);
    expect(state(one)).toMatchObject({ state: "denied", reason: "rejected" });
    expect(holdfast("deny", other).status).toBe(0);
    expect(commands).toEqual([]);
  });

  test("of one's own wish does not count", async () => {
    const made = holdfast("tools", "use", "open", "k=mine", "--json");
    const { id } = JSON.parse(made.out) as { id: string };
    expect(state(id)?.["state"]).toBe("awaitingApproval");
    expect(holdfast("approve", id).status).toBe(1);
    expect(refusals()).toContain("nobody approves what they proposed");
    const token = join(folder, "ann.token");
    writeFileSync(token, ANN_TOKEN, { mode: 0o600 });
    expect(holdfast("approve", id, "--token-file", token).status).toBe(0);
    expect(await becomes(() => state(id)?.["state"] === "acknowledged", 60_000)).toBe(true);
    expect(commands).toEqual(["do/mine"]);
  });

  test("of what is critical takes two different people, over a kill in between", async () => {
    const ids = await propose(1);
    const id = ids.find((one) => state(one)?.["tool"] === "purge") ?? "";
    expect(holdfast("approve", id).out).toBe("Approved: 1 of 2 people have said yes.\n");
    expect(holdfast("approve", id)).toMatchObject({
      status: 1,
      out: expect.stringContaining("The action still waits."),
    });
    expect(commands).toEqual([]);
    await plant.endAsync(true);
    await daemon.kill();
    await start();
    expect(holdfast("approve", id).status).toBe(1);
    expect(state(id)?.["state"]).toBe("awaitingApproval");
    expect(holdfast("approve", id, "--as", "joe", "--signature", signedBy(joe.privateKey, id, "joe")).status).toBe(0);
    expect(await becomes(() => state(id)?.["state"] === "acknowledged", 60_000)).toBe(true);
    expect(commands.filter((topic) => topic.startsWith("purge/"))).toHaveLength(1);
  });

  test("by somebody who is named no more does not count, nor does what they said before", async () => {
    const ids = await propose(1);
    const id = ids.find((one) => state(one)?.["tool"] === "purge") ?? "";
    const signature = signedBy(joe.privateKey, id, "joe");
    expect(holdfast("approve", id, "--as", "joe", "--signature", signature).status).toBe(0);
    await stop();
    await start("joe");
    expect(holdfast("approve", id, "--as", "joe", "--signature", signature).status).toBe(1);
    // Maria's is one, and joe's counts no more.
    expect(holdfast("approve", id).status).toBe(0);
    expect(state(id)?.["state"]).toBe("awaitingApproval");
    expect(commands).toEqual([]);
    await stop();
    await start();
  });

  test("that comes too late is none, and so is one while the gateway is stopped", async () => {
    const [late = ""] = await propose(0.8, "soon");
    expect(await becomes(() => state(late)?.["state"] === "denied", 60_000)).toBe(true);
    expect(state(late)).toMatchObject({ reason: "approvalExpired" });
    expect(holdfast("approve", late).status).toBe(1);
    const [id = ""] = await propose();
    expect(holdfast("stop", "for the test").status).toBe(0);
    expect(holdfast("approve", id, "--json").out).toContain("latched");
    expect(state(id)).toMatchObject({ state: "suppressed", reason: "latched" });
    expect(holdfast("release").status).toBe(0);
    expect(commands).toEqual([]);
  });
});
