import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { personSchema } from "../../../config/gateway.ts";
import { actVerbs } from "../../../daemon/api/act-verbs.ts";
import type { Refusal } from "../../../daemon/api/as-person.ts";
import { createClaims } from "../../../daemon/api/claims.ts";
import { callAsPerson, callDaemon } from "../../../daemon/api/control-client.ts";
import { ControlServer } from "../../../daemon/api/control-server.ts";
import { createIdentify } from "../../../daemon/api/identify.ts";
import { socketPath } from "../../../daemon/api/socket-path.ts";
import { program } from "../../../daemon/commands/program.ts";
import { Latch, type LatchState } from "../../../daemon/latch.ts";
import { createFirstLatch } from "../../../daemon/latch-file.ts";
import { type ModeChange, Modes } from "../../../daemon/modes.ts";
import { createPeople } from "../../../daemon/people.ts";
import { approvalText } from "../../../sync/approval-text.ts";
import { FakeActions, proposal } from "../../support/actions.ts";
import { recordingLog } from "../../support/bus.ts";
import { FakeControl } from "../../support/control.ts";

type PersonConfig = ReturnType<typeof personSchema.parse>;
const ME = `me:x:${process.getuid?.() ?? 0}:0::/:/bin/sh\n`;
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const key = publicKey.export({ format: "der", type: "spki" }).toString("base64");
const hashOf = (token: string) => createHash("sha256").update(token).digest("hex");

const PEOPLE: Record<string, PersonConfig> = {
  maria: { roles: ["operator"], localUser: "me" },
  jan: { roles: ["approver"], tokenHash: hashOf("jan's"), publicKey: key },
  ada: { roles: ["admin"], tokenHash: hashOf("ada's") },
};

let site: Awaited<ReturnType<typeof serve>>;
beforeEach(async () => {
  site = await serve();
});
afterEach(async () => {
  await site.server.stop();
  await site.latch.stop();
});

async function serve(people = PEOPLE) {
  const directory = mkdtempSync(join(tmpdir(), "verbs-"));
  createFirstLatch(directory, Date.now());
  const control = new FakeControl();
  const clock = { wallMs: () => Date.now(), bootMs: () => performance.now() };
  const records: { latch: LatchState[]; mode: ModeChange[]; refused: Refusal[] } = { latch: [], mode: [], refused: [] };
  const latch = new Latch({
    directory,
    control,
    clock,

    onChange: (state) => records.latch.push(state),
  });
  const modes = new Modes(
    { control, record: (change) => records.mode.push(change) },
    { ceiling: undefined, agents: ["pump-guard"], tools: ["stop-pump"] },
  );
  await latch.start();
  await modes.start();
  const actions = new FakeActions();
  latch.settle = () => actions.settle();
  const known = createPeople({ people, ownUid: process.getuid?.() ?? 0, passwd: () => ME });
  const claims = createClaims({ directory, clock, ownUid: process.getuid?.() ?? 0 });
  const deps = { identify: createIdentify(known, claims), people: known, latch, modes, actions };
  const verbs = actVerbs(
    { ...deps, refused: (refusal) => records.refused.push(refusal) },
    { agents: ["pump-guard"], tools: [{ name: "stop-pump", kind: "mqtt", class: "reversible" }] },
  );
  const server = new ControlServer({
    path: socketPath(directory),
    version: "1",
    log: recordingLog(),
    verbs: { claim: (_parameters, _item, connection) => claims.claim(connection) ?? null, ...verbs },
  });
  await server.start();
  return { directory, control, records, latch, modes, actions, server };
}

async function ask(verb: string, parameters: Record<string, unknown> = {}): Promise<unknown> {
  return await callAsPerson({ dataDirectory: site.directory, verb, parameters });
}

async function holdfast(...args: string[]) {
  const said = { out: "", err: "" };
  const io = {
    environment: {},
    out: (text: string) => {
      said.out += text;
    },
    err: (text: string) => {
      said.err += text;
    },
    terminal: false,
    columns: 100,
    stop: new AbortController().signal,
  };
  const status = await program([...args, "--data", site.directory], io);
  return { status, ...said };
}

describe("the verbs of people", () => {
  test("stop at once, and answer when nothing can leave any more", async () => {
    let settle: () => void = () => undefined;
    site.actions.settled = new Promise((resolve) => (settle = resolve));
    let isAnswered = false;
    const stopping = ask("stop", { why: "smoke" }).finally(() => (isAnswered = true));
    while (!site.latch.isLatched()) await new Promise((resolve) => setImmediate(resolve));
    await callDaemon({ dataDirectory: site.directory, verb: "modes" });
    expect(isAnswered).toBe(false);
    settle();
    expect(await stopping).toMatchObject({ latched: true, why: "smoke", by: "maria" });
    expect(site.records.latch).toMatchObject([{ latched: true, by: "maria" }]);
  });

  test("stop for somebody whose token is wrong too, but do nothing else for them", async () => {
    const token = "nobody's";
    expect(await ask("stop", { why: "x", token })).toMatchObject({ by: "user:maria" });
    await expect(ask("release", { token })).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    expect(site.latch.isLatched()).toBe(true);
    expect(site.records.refused).toEqual([{ by: "user:maria", verb: "release", reason: "token", asked: {} }]);
  });

  test("let operators and admins release and loosen, and nobody else", async () => {
    await ask("stop", { why: "x" });
    await expect(ask("release", { token: "jan's" })).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    await expect(ask("mode", { scope: "gateway", mode: "auto", token: "jan's" })).rejects.toMatchObject({
      code: "NOT_ALLOWED",
      detail: { who: "jan", reason: "role" },
    });
    expect(await ask("release")).toMatchObject({ latched: false, by: "maria" });
    expect(await ask("mode", { scope: "gateway", mode: "auto", token: "ada's" })).toMatchObject({ effective: "auto" });
    expect(await ask("switch", { scope: "tool:stop-pump", on: false, token: "jan's" })).toMatchObject({
      tools: [{ name: "stop-pump", on: false }],
    });
    await expect(ask("switch", { scope: "tool:stop-pump", on: true, token: "jan's" })).rejects.toThrow();
    expect(site.records.mode.map(({ to, by }) => [to, by])).toEqual([
      ["auto", "ada"],
      ["off", "jan"],
    ]);
    expect(site.records.refused.map(({ by, verb, reason }) => [by, verb, reason])).toEqual([
      ["jan", "release", "role"],
      ["jan", "mode", "role"],
      ["jan", "switch", "role"],
    ]);
  });

  test("never put a token into a record", async () => {
    await ask("mode", { scope: "gateway", mode: "auto", token: "jan's" }).catch(() => undefined);
    expect(JSON.stringify(site.records)).not.toContain("jan's");
    expect(site.records.refused).toHaveLength(1);
  });

  test("know somebody who does not say who they are as unknown", async () => {
    const call = { dataDirectory: site.directory, verb: "release", parameters: {} };
    await expect(callDaemon(call)).rejects.toMatchObject({ code: "NOT_ALLOWED", detail: { who: "user:unknown" } });
    const parameters = { why: "x", claim: join(site.directory, "who", "0".repeat(32)) };
    expect(await callDaemon({ ...call, verb: "stop", parameters })).toMatchObject({ by: "user:unknown" });
  });

  test("refuse what they do not understand", async () => {
    for (const [verb, parameters] of [
      ["stop", {}],
      ["mode", { scope: "gateway", mode: "turbo" }],
      ["switch", { scope: "tool:stop-pump", on: "yes" }],
      ["act", { tool: "stop-pump", arguments: { pump: { deep: 1 } } }],
      ["approve", {}],
    ] as const)
      await expect(ask(verb, parameters)).rejects.toMatchObject({ code: "REQUEST_INVALID" });
  });
});

describe("answers", () => {
  const id = "p1";
  const { hash } = proposal(id);
  const signed = (person: string, decision: "approved" | "rejected", of = hash) =>
    sign(null, approvalText({ decision, hash: of, person, proposal: id }), privateKey).toString("base64");

  beforeEach(() => {
    site.actions.proposals.push(proposal(id));
  });

  test("count with the role, and are passed on with who gave them", async () => {
    expect(await ask("approve", { proposal: id, token: "jan's" })).toMatchObject({ accepted: true });
    expect(await ask("deny", { proposal: id, token: "ada's" })).toMatchObject({ accepted: true });
    expect(site.actions.answers.map(({ by, decision, peer }) => [by.name, decision, peer])).toEqual([
      ["jan", "approved", "jan"],
      ["ada", "rejected", "ada"],
    ]);
  });

  test("count when they are signed, whoever brings them", async () => {
    const signature = signed("jan", "approved");
    expect(await ask("approve", { proposal: id, as: "jan", signature })).toMatchObject({ accepted: true });
    expect(site.actions.answers).toMatchObject([{ by: { name: "jan" }, signature, peer: "maria" }]);
  });

  test.each<[string, () => Record<string, unknown>, string]>([
    ["without the role", () => ({}), "role"],
    ["in another's name", () => ({ as: "ada", token: "jan's" }), "otherPerson"],
    ["signed for a no", () => ({ as: "jan", signature: signed("jan", "rejected") }), "signature"],
    ["signed in another's name", () => ({ as: "ada", signature: signed("ada", "approved") }), "signature"],
    [
      "signed over another content",
      () => ({ as: "jan", signature: signed("jan", "approved", "cd".repeat(32)) }),
      "signature",
    ],
    ["signed by nobody in particular", () => ({ signature: signed("jan", "approved") }), "signature"],
    [
      "signed for what is not open",
      () => ({ proposal: "p2", as: "jan", signature: signed("jan", "approved") }),
      "notOpen",
    ],
  ])("do not count %s, and are recorded", async (_, given, reason) => {
    await expect(ask("approve", { proposal: id, ...given() })).rejects.toThrow();
    expect(site.actions.answers).toEqual([]);
    expect(site.records.refused).toMatchObject([{ verb: "approve", reason }]);
  });
});

describe("the command line", () => {
  test("lists what waits, with exactly the fields that are promised and without what is private", async () => {
    site.actions.proposals.push(proposal("p2", { given: ["jan"], needs: 2 }), proposal("p1", { approveBefore: 5 }));
    const { status, out } = await holdfast("approvals", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(out)[1]).toEqual({
      id: "p2",
      tool: "stop-pump",
      arguments: { pump: "p1", code: "(private)" },
      class: "consequential",
      proposedAt: "2026-01-01T00:00:00.000Z",
      approveBefore: "2026-01-01T00:15:00.000Z",
      executeBefore: "2026-01-01T00:20:00.000Z",
      needs: 2,
      given: 1,
    });
    const text = (await holdfast("approvals")).out;
    expect(text).toContain("1 of 2 (jan)");
    expect(text).not.toContain("secret");
  });

  test("answers with a token, with a key, and with a signature made elsewhere", async () => {
    site.actions.proposals.push(proposal("p1"));
    const tokenFile = join(site.directory, "token");
    writeFileSync(tokenFile, "jan's\n");
    expect(await holdfast("approve", "p1", "--token-file", tokenFile)).toMatchObject({ status: 0 });
    const pem = join(site.directory, "key.pem");
    writeFileSync(pem, privateKey.export({ format: "pem", type: "pkcs8" }));
    expect(await holdfast("deny", "p1", "--as", "jan", "--key", pem)).toMatchObject({ status: 0 });
    const { out } = await holdfast("approve", "p1", "--as", "jan", "--print-text");
    const signature = sign(null, Buffer.from(out), privateKey).toString("base64");
    expect(await holdfast("approve", "p1", "--as", "jan", "--signature", signature)).toMatchObject({ status: 0 });
    expect(site.actions.answers.map(({ by, decision }) => [by.name, decision])).toEqual([
      ["jan", "approved"],
      ["jan", "rejected"],
      ["jan", "approved"],
    ]);
    expect((await holdfast("approve", "p1", "--key", pem)).status).toBe(2);
    expect((await holdfast("approve", "gone", "--token-file", tokenFile)).status).toBe(1);
    await expect(holdfast("approve", "p1")).rejects.toMatchObject({ code: "NOT_ALLOWED" });
  });

  test("shows and changes modes and switches", async () => {
    expect((await holdfast("mode", "dryRun")).out).toContain("dryRun");
    expect((await holdfast("mode", "observe", "--tool", "stop-pump")).status).toBe(0);
    expect((await holdfast("agents", "off", "pump-guard")).out).toBe("agent pump-guard is off\n");
    expect((await holdfast("mode")).out.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["scope", "set", "counts"],
      ["gateway", "dryRun", "dryRun"],
      ["agent pump-guard", "–", "off"],
      ["tool stop-pump", "observe", "observe"],
      [""],
    ]);
    expect(JSON.parse((await holdfast("tools", "--json")).out)).toMatchObject([
      { name: "stop-pump", kind: "mqtt", class: "reversible", mode: "observe", effective: "observe", on: true },
    ]);
    expect((await holdfast("mode", "turbo")).status).toBe(2);
    expect((await holdfast("mode", "auto", "--tool", "x", "--agent", "y")).status).toBe(2);
    await expect(holdfast("tools", "off", "stop-pmup")).rejects.toMatchObject({ code: "MODE_SCOPE" });
  });

  test("uses a tool for an operator, with arguments that are what they say", async () => {
    const { status, out } = await holdfast(
      "tools",
      "use",
      "stop-pump",
      "pump=p1",
      "n=5",
      "id=007",
      'text="5"',
      "on=true",
    );
    expect({ status, out }).toEqual({ status: 0, out: "intended (action a1)\n" });
    expect(site.actions.proposed).toMatchObject([
      { by: { name: "maria" }, tool: "stop-pump", given: { pump: "p1", n: 5, id: "007", text: "5", on: true } },
    ]);
    expect(await holdfast("tools", "use", "forbidden")).toMatchObject({
      status: 1,
      out: "denied: policy (action a1)\n",
    });
    expect((await holdfast("tools", "use", "stop-pump", "nonsense")).status).toBe(2);
  });

  test("lists tasks and takes one", async () => {
    const { id, tool, arguments: given, private: hidden, agent, key, rule, proposedAt } = proposal("t1");
    site.actions.tasks.push({ id, tool, arguments: given, private: hidden, agent, key, rule, proposedAt, to: ["jan"] });
    const { out } = await holdfast("handoffs");
    expect(out).toContain("code=(private)");
    expect(out).toContain("jan");
    expect(await holdfast("handoffs", "take", "t1")).toMatchObject({ status: 0 });
    expect(site.actions.taken).toMatchObject([{ id: "t1", by: { name: "maria" } }]);
  });

  test("stops and releases by the nonce that it showed", async () => {
    const stopped = JSON.parse((await holdfast("stop", "smoke", "--json")).out) as Record<string, unknown>;
    expect(stopped).toMatchObject({ stopped: true, latched: true, how: "daemon", by: "maria" });
    await expect(holdfast("release", "--nonce", "0000000000000000")).rejects.toMatchObject({ code: "LATCH_NONCE" });
    expect((await holdfast("release", "--nonce", String(stopped["nonce"]))).status).toBe(0);
    expect(site.latch.isLatched()).toBe(false);
  });

  test("gives every new verb a help with an example", async () => {
    const verbs = "stop release mode tools approvals approve deny handoffs agents".split(" ");
    for (const verb of verbs) {
      const { status, out } = await holdfast(verb, "--help");
      expect(status).toBe(0);
      if (!["tools", "agents", "handoffs"].includes(verb)) expect(out).toMatch(/Examples?:\n {2}holdfast/);
    }
    for (const args of ["tools on", "tools off", "tools use", "agents off", "handoffs take"])
      expect((await holdfast(...args.split(" "), "x", "--help")).out).toMatch(/Example:\n {2}holdfast/);
  });
});
