import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../config/load.ts";
import { bundledModels } from "../../daemon/assets.ts";
import { check, prepare } from "../../daemon/generation.ts";
import { loaded, written } from "../config/workspace.ts";

const plant = `device: { name: gw, labels: { site: north } }
agents:
  pumps:
    sources: [{ kind: mqtt, topic: "plant/{pump}/t", key: pump, fields: { vibration: { unit: mm/s } } }]
tools:
  stop-pump: { kind: mqtt, topic: "plant/{pump}/command", safeDirection: true }
  valve: { kind: mqtt, topic: "plant/valve", target: "{valve} of {pump}", idempotent: true, class: critical }
  tell: { kind: notify }
`;

function checked(files: Readonly<Record<string, string>>) {
  const file = written(files);
  const configuration = loaded(loadConfig({ file, environment: {} }));
  const places = { dataDirectory: join(dirname(file), "data"), bundled: bundledModels() };
  return {
    folder: dirname(file),
    check: () => check(configuration, places),
    prepare: () => prepare(configuration, places),
  };
}

test("a configuration whose policy decides its cases as expected is taken, with its policy", async () => {
  const text = `${plant}policy:
  - { id: pumps, effect: permit, tools: [stop-pump], agents: [pumps] }
  - { id: slow, effect: requireApproval, tools: [stop-pump], when: "has(arguments.speed) && arguments.speed > 3" }
  - { id: seen, effect: forbid, when: "event.key == 'p9' && has(event.id) && event.id == 'e1' && answer.score > 0.5 && now - event.time > 10.0" }
  - { id: maria, effect: permit, tools: [valve], when: "action.by == 'maria' && action.target == 'v1 of {pump}' && action.class == 'critical' && action.idempotent" }
policyTests:
  - { action: { tool: stop-pump, agent: pumps }, expect: permit }
  - { action: { tool: stop-pump, agent: pumps, arguments: { speed: 4 } }, expect: requireApproval }
  - { action: { tool: stop-pump }, expect: deny }
  - { action: { tool: tell }, expect: permit }
  - { action: { tool: tell }, context: { key: p9, id: e1, time: 5, now: 20, answer: { score: 0.7 } }, expect: forbid }
  - { action: { tool: valve, by: maria, arguments: { valve: v1 } }, expect: permit }
  - { action: { tool: valve, by: paul, arguments: { valve: v1 } }, expect: deny }
`;
  const { policy } = await checked({ "holdfast.yaml": text }).prepare();
  expect(policy.digest).toMatch(/^[0-9a-f]{64}$/);
});

test("a case that comes out otherwise refuses the configuration, at its place, in whichever file", async () => {
  const made = checked({
    "holdfast.yaml": `${plant}policy:
  - { id: pumps, effect: permit, tools: [stop-pump] }
policyTests:
  - { action: { tool: stop-pump }, expect: permit }
`,
    "conf.d/night.yaml": `policy:
  - { id: night, effect: forbid, when: "features.dark > 0" }
policyTests:
  - { name: by day, action: { tool: stop-pump }, context: { features: { dark: 0 } }, expect: permit }
  - name: in the dark
    action: { tool: stop-pump }
    context: { features: { dark: 1 } }
    expect: permit
  - { action: { tool: valve }, context: { features: { dark: 0 } }, expect: permit }
`,
  });
  const { problems, prepared } = await made.check();
  expect(prepared).toBeUndefined();
  const night = join(made.folder, "conf.d/night.yaml");
  expect(problems).toMatchObject([
    {
      file: join(made.folder, "holdfast.yaml"),
      line: 12,
      path: "policyTests[0].expect",
      message:
        'case 1: expected permit, and the policy says forbid (matching: "pumps", "night"); "night" can not be evaluated: features.dark has no value',
    },
    {
      file: night,
      line: 8,
      column: 13,
      path: "policyTests[2].expect",
      message: 'in the dark: expected permit, and the policy says forbid (matching: "pumps", "night")',
    },
    { file: night, line: 9, message: "case 4: expected permit, and the policy says deny (no rule matches)" },
  ]);
  await expect(made.prepare()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});

test("a condition that can not be read is told at its place, and no case is tried", async () => {
  const made = checked({
    "holdfast.yaml": `${plant}policy:
  - id: typo
    effect: forbid
    when: action.tol == 'x'
policyTests:
  - { action: { tool: stop-pump }, expect: permit }
`,
  });
  expect((await made.check()).problems).toMatchObject([{ line: 12, column: 11, path: "policy[0].when" }]);
});

test("the page about policies shows one whose cases come out as it says", async () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/policy.md"), "utf8");
  const text = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  const made = checked({ "holdfast.yaml": text });
  expect((await made.check()).problems).toEqual([]);
  expect(text.match(/expect: /g)?.length).toBeGreaterThan(3);
});
