import { describe, expect, test } from "vitest";
import type { PolicyRule } from "../../config/policy.ts";
import { type Problem, pathText } from "../../config/problems.ts";
import type { JudgedAction, PolicyContext } from "../../daemon/guard.ts";
import { type CompiledPolicy, compilePolicy } from "../../daemon/policy.ts";

type Rule = Partial<PolicyRule> & Pick<PolicyRule, "effect">;

const device = { name: "gw-1", labels: { site: "north", "a.b": "x" } };

function compiled(...rules: Rule[]): { policy: CompiledPolicy | undefined; problems: Problem[] } {
  const problems: Problem[] = [];
  const whole = rules.map((rule, at) => ({ id: `${rule.effect}-${at}`, tools: ["*"], agents: ["*"], ...rule }));
  const problemAt = (path: readonly PropertyKey[], message: string, hint?: string): Problem => ({
    ...{ file: "", line: 1, column: 1, path: pathText(path), message },
    ...(hint === undefined ? {} : { hint }),
  });
  return { policy: compilePolicy(whole, { device, tools: {}, problemAt, problems }), problems };
}

const action: JudgedAction = {
  tool: "stop",
  class: "consequential",
  target: "plant/p1/command",
  arguments: { pump: "p1", speed: 3 },
  safeDirection: false,
  idempotent: true,
  agent: "pumps",
  rule: "stop-on-anomaly",
  by: "",
};
const context: PolicyContext = {
  key: "p1",
  eventId: undefined,
  timeMs: 1_800_000_000_000,
  fields: { vibration: 3, missing: null, broken: Number.NaN },
  features: { vib_rms: 8 },
  answer: { score: 0.9, classes: [0.2, 0.8], endless: [Number.POSITIVE_INFINITY] },
};

function judged(rules: readonly Rule[], over: Partial<JudgedAction> = {}, nowMs = 1_800_000_000_500) {
  const { policy, problems } = compiled(...rules);
  if (policy === undefined) throw new Error(JSON.stringify(problems));
  return policy.judge({ ...action, ...over }, context, nowMs);
}

const effectOf = (rules: readonly Rule[], over: Partial<JudgedAction> = {}): string => judged(rules, over).effect;

describe("a policy", () => {
  test("denies what no rule permits, but for notifications", () => {
    expect(judged([])).toEqual({ effect: "deny", rules: [], errors: [] });
    for (const kind of ["reversible", "consequential", "critical"] as const)
      expect(effectOf([], { class: kind })).toBe("deny");
    expect(effectOf([], { class: "notify" })).toBe("permit");
    expect(effectOf([{ effect: "forbid" }], { class: "notify" })).toBe("forbid");
    expect(effectOf([{ effect: "requireApproval" }], { class: "notify" })).toBe("requireApproval");
  });

  test("forbids whatever else permits, asks before it permits, and names all that matched", () => {
    const permit = { effect: "permit" } as const;
    const ask = { effect: "requireApproval" } as const;
    const forbid = { effect: "forbid" } as const;
    expect(judged([permit])).toEqual({ effect: "permit", rules: ["permit-0"], errors: [] });
    expect(judged([permit, ask]).effect).toBe("requireApproval");
    expect(judged([ask]).effect).toBe("requireApproval");
    expect(judged([forbid, permit, ask])).toEqual({
      effect: "forbid",
      rules: ["forbid-0", "permit-1", "requireApproval-2"],
      errors: [],
    });
    expect(judged([permit, { ...forbid, when: "false" }, ask, forbid]).rules).toEqual([
      "permit-0",
      "requireApproval-2",
      "forbid-3",
    ]);
  });

  test("asks the rules that name the tool and the agent, and no other", () => {
    const permit = (over: Partial<Rule>): Rule[] => [{ effect: "permit", ...over }];
    expect(effectOf(permit({ tools: ["stop"] }))).toBe("permit");
    expect(effectOf(permit({ tools: ["start"] }))).toBe("deny");
    expect(effectOf(permit({ tools: ["start", "*"] }))).toBe("permit");
    expect(effectOf(permit({ tools: [] }))).toBe("deny");
    expect(effectOf(permit({ agents: ["pumps"] }))).toBe("permit");
    expect(effectOf(permit({ agents: ["doors"] }))).toBe("deny");
    expect(effectOf(permit({ agents: ["doors"] }), { tool: "unheard-of" })).toBe("deny");
    expect(effectOf(permit({}), { tool: "unheard-of" })).toBe("permit");
  });

  test("takes a person's action as one of no agent", () => {
    const person = { agent: "", rule: "", by: "maria" };
    expect(effectOf([{ effect: "permit", agents: ["pumps"] }], person)).toBe("deny");
    expect(effectOf([{ effect: "permit", agents: [""] }], person)).toBe("deny");
    expect(effectOf([{ effect: "permit" }], person)).toBe("permit");
    expect(effectOf([{ effect: "permit", when: "action.by == 'maria' && action.agent == ''" }], person)).toBe("permit");
  });
});

describe("a condition that can not be evaluated", () => {
  test.each([
    ["a name that is not there", "features.slope > 1", "features.slope has no value"],
    ["a field that has no value", "event.fields.missing > 1", "event.fields.missing has no value"],
    ["a name of every object", "features.constructor != 1", "features.constructor has no value"],
    ["NaN", "event.fields.broken < 1", "event.fields.broken is not a finite number"],
    ["NaN among all fields", "size(event.fields) > 0", "event.fields has a number that is not finite"],
    ["an endless number in a list", "answer.endless[0] > 1", "answer.endless has a number that is not finite"],
    ["a value that is not true or false", "features.vib_rms", "the condition is not true or false"],
    ["a text where a number belongs", "arguments.pump > 3", /overload/],
    ["a division by zero", "arguments.speed / (event.fields.vibration - 3.0) > 1", /finite/],
    ["a remainder of zero", "arguments.speed % 0 == 1", "division by zero"],
    ["a place that a list does not have", "answer.classes[7] > 0.5", "the list has no such place"],
    ["a name that is made", "features[event.key] > 1", /p1/],
    ["one that a loop comes to", "answer.classes.all(one, one > features.slope)", "features.slope has no value"],
  ])("by %s: forbids, asks, and does not permit", (_, when, reason) => {
    const erring = expect.objectContaining({
      reason: typeof reason === "string" ? reason : expect.stringMatching(reason),
    });
    const permit = { effect: "permit" } as const;
    expect(judged([permit, { effect: "forbid", when }])).toEqual({
      effect: "forbid",
      rules: ["permit-0", "forbid-1"],
      errors: [erring],
    });
    expect(judged([permit, { effect: "requireApproval", when }])).toEqual({
      effect: "requireApproval",
      rules: ["permit-0", "requireApproval-1"],
      errors: [erring],
    });
    expect(judged([{ effect: "permit", when }])).toEqual({ effect: "deny", rules: [], errors: [erring] });
    expect(judged([{ effect: "permit", when }], { class: "notify" })).toMatchObject({ effect: "permit", rules: [] });
  });

  test("is none where the rest of it decides", () => {
    expect(judged([{ effect: "forbid", when: "features.slope > 1 && event.key == 'p2'" }]).errors).toEqual([]);
    expect(judged([{ effect: "permit", when: "features.slope > 1 || event.key == 'p1'" }]).effect).toBe("permit");
    expect(judged([{ effect: "forbid", when: "has(features.slope) && features.slope > 1" }]).errors).toEqual([]);
    expect(judged([{ effect: "forbid", when: "!has(event.fields.broken)" }]).effect).toBe("forbid");
  });

  test("of a rule about another tool or agent is not looked at", () => {
    const when = "features.slope > 1";
    expect(
      judged([
        { effect: "forbid", when, tools: ["start"] },
        { effect: "forbid", when, agents: ["doors"] },
      ]),
    ).toEqual({ effect: "deny", rules: [], errors: [] });
  });
});

describe("conditions of a policy", () => {
  test.each([
    "event.key == 'p1' && event.time == 1800000000000 && now - event.time == 500",
    "!has(event.id)",
    "event.fields.vibration == 3 && event.fields['vibration'] < 4",
    "features.vib_rms > 7.1 && answer.score >= 0.9",
    "answer.classes[1] > 0.5 && size(answer.classes) == 2 && answer.classes.exists(one, one > 0.7)",
    "arguments.pump in ['p1', 'p2'] && arguments.speed * 2 == 6 && 'pump' in arguments",
    "features.all(name, features[name] > 1)",
    "action.tool == 'stop' && action.class == 'consequential' && action.target.startsWith('plant/')",
    "action.agent == 'pumps' && action.rule == 'stop-on-anomaly' && action.by == ''",
    "action.idempotent && !action.safeDirection",
    "device.name == 'gw-1' && device.labels.site == 'north' && device.labels['a.b'] == 'x'",
    "timestamp(now).getHours('Europe/Berlin') == 9",
  ])("may say %s", (when) => {
    expect(judged([{ effect: "permit", when }])).toMatchObject({ effect: "permit", errors: [] });
  });

  test.each<[when: string, message: RegExp, hint?: RegExp]>([
    ["vibration > 3", /^there is no "vibration" here/, /event, features, answer, arguments, action, device, now/],
    ["state.passes > 3", /^there is no "state" here/],
    ["payload.x > 3", /^there is no "payload" here/],
    ["event.vibration > 3", /no "vibration" in event \(at character 7\)/, /key, id, time, fields/],
    ["action.tol == 'x'", /no "tol" in action/, /"tool"/],
    ["device.labels.region == 'x'", /no "region" in device.labels/, /site/],
    ["features.a.b > 1", /^features.a is a value and has no "b"/],
    ["event > 1", /event is not a value/],
    ["event.id == 'e1'", /^it errs: event.id has no value/, /has\(event.id\)/],
    ["action.class > 3", /can not compare text with a number/],
    ["event.key", /has to be true or false, and this is text/],
    ["event.key =", /can not be read/, /"=="/],
    ["device.name.matches('(')", /pattern/],
  ])("are refused at load: %s", (when, message, hint) => {
    const { policy, problems } = compiled({ effect: "permit" }, { effect: "forbid", when });
    expect(policy).toBeUndefined();
    expect(problems).toMatchObject([{ path: "policy[1].when", message: expect.stringMatching(message) }]);
    if (hint !== undefined) expect(problems[0]?.hint).toMatch(hint);
  });

  test("see the action at hand, not the one before", () => {
    const { policy } = compiled({ effect: "permit", when: "arguments.speed > 3 && features.vib_rms > 1" });
    const judge = (speed: number | undefined, features = context.features) =>
      policy?.judge({ ...action, arguments: speed === undefined ? {} : { speed } }, { ...context, features }, 0);
    expect(judge(4)?.effect).toBe("permit");
    expect(judge(2)?.effect).toBe("deny");
    expect(judge(4, {})?.errors).toHaveLength(1);
    expect(judge(undefined)?.errors).toHaveLength(1);
    expect(judge(4)?.errors).toEqual([]);
  });
});

describe("a policy's digest", () => {
  const digest = (...rules: Rule[]) => compiled(...rules).policy?.digest;

  test("is that of the rules in their order, however they are written down", () => {
    const one: Rule = { id: "a", effect: "permit", tools: ["stop"] };
    const sorted: Rule = { tools: ["stop"], effect: "permit", id: "a" };
    expect(digest(one)).toMatch(/^[0-9a-f]{64}$/);
    expect(digest(sorted)).toBe(digest(one));
    const variants: Rule[][] = [
      [{ ...one, effect: "forbid" }],
      [{ ...one, id: "b" }],
      [{ ...one, tools: ["start"] }],
      [{ ...one, agents: ["pumps"] }],
      [{ ...one, when: "true" }],
      [one, { id: "b", effect: "permit" }],
      [{ id: "b", effect: "permit" }, one],
      [],
    ];
    expect(new Set([digest(one), ...variants.map((rules) => digest(...rules))]).size).toBe(variants.length + 1);
  });
});
