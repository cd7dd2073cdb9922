import { expect, test } from "vitest";
import { compilePolicy } from "../../daemon/policy.ts";
import { explainPolicy } from "../../daemon/policy-findings.ts";
import { loaded, loadText } from "../config/workspace.ts";

function explained(policy: string, tests = "") {
  const text = `device: { name: gw, labels: { site: north } }
agents:
  pumps:
    sources: [{ kind: mqtt, topic: "plant/{pump}/t", key: pump, fields: { vibration: { unit: mm/s } } }]
    window: { seconds: 60 }
    features: { vib_rms: rms(vibration) }
    rules: [{ id: stop, when: features.vib_rms > 7, do: [{ tool: stop }] }]
    fallback: { do: [{ tool: tell }] }
  doors:
    sources: [{ kind: mqtt, topic: "door/{door}", key: door, fields: { open: { type: boolean } } }]
    silence: { afterSeconds: 60, do: [{ tool: tell }] }
    rules: [{ id: lock, when: event.fields.open, do: [{ tool: lock }] }]
tools:
  stop: { kind: mqtt, topic: plant/stop }
  lock: { kind: mqtt, topic: door/lock, class: critical }
  tell: { kind: notify }
policy:
${policy}${tests}`;
  const { gateway, generation } = loaded(loadText(text)).config;
  const problemAt = () => ({ file: "", line: 0, column: 0, path: "", message: "" });
  const compiled = compilePolicy(generation.policy, {
    device: gateway.device,
    tools: generation.tools,
    problemAt,
    problems: [],
  });
  if (compiled === undefined) throw new Error("the policy has mistakes");
  const { permissions, findings } = explainPolicy(compiled, generation);
  const permission = (agent: string, tool: string) =>
    permissions.find((one) => one.agent === agent && one.tool === tool)?.permission;
  return { permissions, findings, permission, kinds: findings.map((one) => `${one.rule ?? one.tool}: ${one.kind}`) };
}

test("who may use what is said for each agent and for people, with the rules that say so", () => {
  const { permissions, permission } = explained(`
  - { id: stop, effect: permit, tools: [stop], agents: [pumps] }
  - { id: fast, effect: requireApproval, tools: [stop], when: features.vib_rms > 20 }
  - { id: lock, effect: requireApproval, tools: [lock], agents: [doors] }
  - { id: night, effect: forbid, tools: [lock], when: "timestamp(now).getHours() < 6" }
  - { id: people, effect: permit, tools: [lock], when: "action.agent == ''" }
  - { id: nobody, effect: forbid, agents: [doors], tools: [stop] }
`);
  expect(permission("pumps", "stop")).toBe("underCondition");
  expect(permission("pumps", "tell")).toBe("always");
  expect(permission("pumps", "lock")).toBe("never");
  expect(permission("doors", "lock")).toBe("needsApproval");
  expect(permission("doors", "stop")).toBe("forbidden");
  expect(permission("", "lock")).toBe("needsApproval");
  expect(permission("", "stop")).toBe("underCondition");
  expect(permissions.find((one) => one.agent === "doors" && one.tool === "lock")).toEqual({
    agent: "doors",
    tool: "lock",
    class: "critical",
    proposed: true,
    permission: "needsApproval",
    rules: [
      { id: "lock", effect: "requireApproval", matches: "always" },
      { id: "night", effect: "forbid", matches: "sometimes" },
    ],
  });
  expect(permissions.filter((one) => one.proposed).map((one) => `${one.agent} ${one.tool}`)).toEqual([
    "pumps stop",
    "pumps tell",
    "doors lock",
    "doors tell",
    " stop",
    " lock",
    " tell",
  ]);
});

test("a critical tool that is permitted needs two people all the same", () => {
  const { permission } = explained("  - { id: lock, effect: permit, tools: [lock], agents: [doors] }\n");
  expect(permission("doors", "lock")).toBe("needsApproval");
});

test("without any rule nobody may do anything but notify", () => {
  const { permission, kinds } = explained("  []\n");
  expect([permission("pumps", "stop"), permission("pumps", "tell"), permission("", "tell")]).toEqual([
    "never",
    "always",
    "always",
  ]);
  expect(kinds).toEqual(["stop: nobodyMayUse", "lock: nobodyMayUse"]);
});

test("rules that never matter are named, and tools that nobody may use", () => {
  const { kinds, findings } = explained(`
  - { id: unproposed, effect: permit, tools: [lock], agents: [pumps] }
  - { id: elsewhere, effect: permit, when: "device.labels.site == 'south'" }
  - { id: misspelt, effect: permit, when: "action.class == 'citical'" }
  - { id: allowed, effect: permit, tools: [stop] }
  - { id: asked, effect: requireApproval, tools: [stop] }
  - { id: no-lock, effect: forbid, tools: [lock] }
  - { id: ask-lock, effect: requireApproval, tools: [lock] }
  - { id: notes, effect: permit, tools: [tell] }
  - { id: reads, effect: requireApproval, agents: [pumps], when: "has(features.vib_rsm) && event.fields.vibration > 3" }
`);
  expect(kinds).toEqual([
    "unproposed: neverMatches",
    "elsewhere: neverMatches",
    "misspelt: neverMatches",
    "allowed: noEffect",
    "ask-lock: noEffect",
    "notes: needless",
    "reads: unknownName",
    "lock: nobodyMayUse",
  ]);
  expect(findings.find((one) => one.rule === "allowed")?.message).toContain('"asked"');
  expect(findings.find((one) => one.rule === "reads")?.message).toBe(
    'none of the agents that it is about has features.vib_rsm (Did you mean "vib_rms"?)',
  );
  expect(findings.find((one) => one.tool === "lock")?.message).toContain('"no-lock"');
});

test("nothing is said of a policy in which each rule may matter", () => {
  const { findings } = explained(`
  - { id: stop, effect: permit, tools: [stop] }
  - { id: fast, effect: forbid, tools: [stop], agents: [pumps], when: features.vib_rms > 20 }
  - { id: open, effect: permit, tools: [lock], when: event.key == 'd1' }
  - { id: notes, effect: forbid, tools: [tell], when: event.fields.vibration > 3 }
  - { id: class, effect: requireApproval, when: "action.class == 'critical' && event.key == 'd2'" }
`);
  expect(findings).toEqual([]);
});
