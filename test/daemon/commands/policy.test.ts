import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { program } from "../../../daemon/commands/program.ts";
import { exitStatus } from "../../../daemon/errors.ts";
import { written } from "../../config/workspace.ts";
import { fakeIo } from "../../support/io.ts";

const file = written({
  "holdfast.yaml": `agents:
  pumps:
    sources: [{ kind: mqtt, topic: "plant/{pump}/t", key: pump, fields: { vibration: { unit: mm/s } } }]
    rules: [{ id: stop, when: event.fields.vibration > 7, do: [{ tool: stop }] }]
tools:
  stop: { kind: mqtt, topic: plant/stop }
  tell: { kind: notify }
policy:
  - { id: pumps, effect: permit, tools: [stop], agents: [pumps] }
  - { id: doors, effect: forbid, tools: [stop], when: "event.key == 'door'" }
policyTests:
  - { name: a pump stops, action: { tool: stop, agent: pumps }, expect: permit }
`,
  "candidate.yaml": "policy:\n  - { id: ask, effect: requireApproval, tools: [stop] }\n",
  "cases.yaml": "policyTests:\n  - { action: { tool: stop, agent: pumps }, context: { key: door }, expect: forbid }\n",
  "broken.yaml": "policy:\n  - { id: ask, effect: permit, when: event.kee == 'x' }\n",
  "whole.yaml": "tools: { tell: { kind: notify } }\npolicy: []\n",
});
const beside = (name: string): string => join(dirname(file), name);

async function run(...args: string[]) {
  const io = fakeIo();
  const status = await program(["policy", ...args], io).catch((error: unknown) => {
    io.err(String((error as { problems?: unknown }).problems === undefined ? error : JSON.stringify(error)));
    return exitStatus(error);
  });
  return { status, out: io.printed(), err: io.told() };
}

describe("holdfast policy test", () => {
  test("says of each case what came out, and by which rules", async () => {
    expect(await run("test", file)).toEqual({
      status: 0,
      out: "ok    a pump stops: permit (pumps)\n1 case, all as expected\n",
      err: "",
    });
  });

  test("fails with 1 when a case comes out otherwise: the candidate's policy under the gateway's cases", async () => {
    const { status, out } = await run("test", beside("candidate.yaml"), "--config", file);
    expect(status).toBe(1);
    expect(out).toContain(
      `FAIL  a pump stops: expected permit, and the policy says requireApproval (matching: "ask")  (${file}:12)`,
    );
    expect(out).toContain("1 not as expected");
  });

  test("tries other cases on the gateway's policy, and prints them for programs", async () => {
    const { status, out } = await run("test", beside("cases.yaml"), "--config", file, "--json");
    expect(status).toBe(0);
    expect(JSON.parse(out)).toEqual({
      passed: 1,
      failed: 0,
      cases: [
        {
          ...{ name: "case 1", tool: "stop", agent: "pumps", expect: "forbid", effect: "forbid" },
          ...{ rules: ["pumps", "doors"], errors: [], passed: true, file: beside("cases.yaml"), line: 2 },
        },
      ],
    });
  });

  test("takes a whole configuration as it is", async () => {
    expect(await run("test", beside("whole.yaml"), "--config", file)).toMatchObject({
      status: 0,
      out: "the policy has no cases: write some under policyTests\n",
    });
  });

  test("refuses with 78 what has mistakes, and with 2 what is no call", async () => {
    const broken = await run("test", beside("broken.yaml"), "--config", file);
    expect(broken.status).toBe(78);
    expect(broken.err).toContain("kee");
    expect((await run("test", beside("none.yaml"))).status).toBe(78);
    expect((await run("test", file, "--loud")).status).toBe(2);
  });
});

describe("holdfast policy explain", () => {
  test("shows who may use what, and what never matters", async () => {
    const { status, out } = await run("explain", file);
    expect(status).toBe(0);
    expect(out).toBe(
      [
        "who       tool  class          may use it       by",
        "pumps     stop  consequential  under condition  permit: pumps; forbid: doors*",
        "(people)  stop  consequential  never permitted  no rule permits it",
        "(people)  tell  notify         permitted        notifications need no permit",
        "* as far as its condition holds",
        "",
      ].join("\n"),
    );
  });

  test("prints the same for programs, with pairs that nobody proposes", async () => {
    const { out } = await run("explain", beside("candidate.yaml"), "--config", file, "--json");
    const { permissions, findings } = JSON.parse(out) as Record<string, readonly unknown[]>;
    expect(permissions).toHaveLength(4);
    expect(permissions?.[1]).toEqual({
      ...{ agent: "pumps", tool: "tell", class: "notify", proposed: false, permission: "always", rules: [] },
    });
    expect(findings).toEqual([]);
  });

  test("says in its help what it prints", async () => {
    const { status, out } = await run("explain", "--help");
    expect(status).toBe(0);
    for (const word of ["permissions", "findings", "underCondition", "neverMatches", "sometimes"])
      expect(out).toContain(word);
  });
});
