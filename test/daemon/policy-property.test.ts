import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type PolicyContext, type PolicyVerdict, type RuleOutcome, verdictOf } from "../../daemon/guard.ts";
import { compilePolicy } from "../../daemon/policy.ts";
import {
  type Condition,
  celText,
  type Literal,
  type NaiveRule,
  type NaiveSituation,
  type Name,
  naiveVerdict,
} from "../support/naive-policy.ts";

const TOOLS = ["stop", "start", "tell"];
const AGENTS = ["pumps", "doors"];
const GROUPS = ["event.fields", "features", "answer", "arguments"] as const;
const SIGNS = ["<", "<=", ">", ">=", "==", "!="] as const;

const openName = fc.record({
  group: fc.constantFrom(...GROUPS),
  name: fc.constantFrom("a", "b", "list", "constructor"),
});
const knownText = fc
  .constantFrom("event.key", "action.tool", "action.agent", "action.by")
  .map((known) => ({ known }) as Name);
const knownNumber = fc.constantFrom("event.time", "now").map((known) => ({ known }) as Name);
const number = fc.constantFrom(-1, 0, 0.5, 1, 2);
const text = fc.constantFrom("p1", "stop", "pumps", "", "maria");
const order = fc.constantFrom(...SIGNS);
const equality = fc.constantFrom("==", "!=");

const simple = fc.oneof(
  { weight: 1, arbitrary: fc.boolean().map((value) => ({ kind: "literal", value })) },
  { weight: 1, arbitrary: openName.map((name) => ({ kind: "bare", name })) },
  { weight: 2, arbitrary: openName.map((name) => ({ kind: "has", name })) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("compare"),
      name: openName,
      sign: order,
      literal: fc.oneof<fc.Arbitrary<Literal>[]>(number, text),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("compare"), name: openName, sign: equality, literal: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("compare"), name: knownText, sign: order, literal: text }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("compare"), name: knownNumber, sign: order, literal: number }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("arithmetic"),
      left: openName,
      operator: fc.constantFrom("-", "*", "/", "%"),
      right: number.filter((one) => one >= 0),
      sign: order,
      literal: number,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("among"),
      name: fc.oneof(openName, knownText),
      literals: fc.array(text, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("some"), list: openName, above: number }) },
) as fc.Arbitrary<Condition>;

const condition = fc.letrec<{ whole: Condition }>((tie) => ({
  whole: fc.oneof(
    { maxDepth: 3, depthIdentifier: "condition" },
    { weight: 4, arbitrary: simple },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom("and", "or"), parts: fc.tuple(tie("whole"), tie("whole")) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("not"), part: tie("whole") }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("choice"), parts: fc.tuple(tie("whole"), tie("whole"), tie("whole")) }),
    },
  ) as fc.Arbitrary<Condition>,
})).whole;

const namesOf = (known: readonly string[]) =>
  fc.oneof(
    fc.constant(["*"]),
    fc.subarray([...known]),
    fc.subarray([...known]).map((some) => [...some, "*"]),
  );

const rules: fc.Arbitrary<NaiveRule[]> = fc
  .array(
    fc.record({
      effect: fc.constantFrom("forbid", "permit", "permit", "requireApproval"),
      tools: namesOf(TOOLS),
      agents: namesOf(AGENTS),
      condition: fc.option(condition, { nil: undefined, freq: 4 }),
    }),
    { maxLength: 7 },
  )
  .map((all) => all.map((rule, at) => ({ id: `rule-${at}`, ...rule }) as NaiveRule));

const value = fc.oneof(
  { weight: 5, arbitrary: number },
  { weight: 2, arbitrary: text },
  { weight: 1, arbitrary: fc.boolean() },
);
const seen = fc.dictionary(
  fc.constantFrom("a", "b", "list"),
  fc.oneof(
    { weight: 6, arbitrary: value },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, null, undefined) },
    { weight: 2, arbitrary: fc.array(fc.constantFrom(0, 1, 2), { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.constant([1, Number.NaN]) },
  ),
);

const situation: fc.Arbitrary<NaiveSituation> = fc
  .record({
    tool: fc.constantFrom(...TOOLS, "unheard-of"),
    class: fc.constantFrom("notify", "reversible", "consequential", "critical"),
    agent: fc.constantFrom(...AGENTS, "", "another"),
    arguments: fc.dictionary(fc.constantFrom("a", "b"), value),
    key: text,
    timeMs: fc.constantFrom(0, 1, 1.8e12),
    nowMs: fc.constantFrom(0, 2, 1.8e12),
    fields: seen,
    features: seen,
    answer: seen,
  })
  .map(({ tool, class: kind, agent, arguments: given, ...rest }) => ({
    ...rest,
    action: { tool, class: kind as "notify", agent, arguments: given, by: agent === "" ? "maria" : "" },
  }));

/** What the daemon says: all of it, or with another way to put outcomes together. */
function said(of: readonly NaiveRule[], about: NaiveSituation, combine = verdictOf): PolicyVerdict {
  const problems: never[] = [];
  const policy = compilePolicy(
    of.map(({ condition: when, ...rule }) => ({
      ...rule,
      tools: [...rule.tools],
      agents: [...rule.agents],
      ...(when === undefined ? {} : { when: celText(when) }),
    })),
    {
      device: { name: "gw", labels: {} },
      tools: {},
      problemAt: (path, message) => ({ file: "", line: 0, column: 0, path: path.join("."), message }),
      problems,
    },
  );
  if (policy === undefined)
    throw new Error(JSON.stringify([problems, of.map((rule) => rule.condition && celText(rule.condition))]));
  const { key, timeMs, nowMs, fields, features, answer } = about;
  const action = { ...about.action, target: "", safeDirection: false, idempotent: false, rule: "" };
  const context: PolicyContext = { key, eventId: undefined, timeMs, fields, features, answer };
  return combine(policy.outcomes(action, context, nowMs), action.class);
}

function agrees(combine: typeof verdictOf) {
  return fc.property(rules, fc.array(situation, { minLength: 1, maxLength: 3 }), (policy, situations) => {
    for (const one of situations) {
      const { effect, rules: matched, errors } = said(policy, one, combine);
      expect({ effect, rules: matched, erred: errors.map((error) => error.rule) }).toEqual(naiveVerdict(policy, one));
    }
  });
}

describe("a generated policy", () => {
  test("says what its written semantics say", () => {
    fc.assert(agrees(verdictOf), { numRuns: 4000 });
  });

  test("comes to each verdict, with and without errors", () => {
    const seenVerdicts = new Set<string>();
    fc.assert(
      fc.property(rules, situation, (policy, one) => {
        const { effect, errors } = said(policy, one);
        seenVerdicts.add(`${effect} ${errors.length > 0}`);
      }),
      { numRuns: 500 },
    );
    expect(seenVerdicts.size).toBe(8);
  });

  test("says the same in whatever order its rules stand", () => {
    const shuffled = rules.chain((policy) =>
      fc.tuple(fc.constant(policy), fc.shuffledSubarray(policy, { minLength: policy.length })),
    );
    fc.assert(
      fc.property(shuffled, situation, ([inOrder, mixed], one) => {
        const before = said(inOrder, one);
        const after = said(mixed, one);
        expect(after.effect).toBe(before.effect);
        expect([...after.rules].sort()).toEqual([...before.rules].sort());
        expect(after.errors.map((error) => error.rule).sort()).toEqual(before.errors.map((error) => error.rule).sort());
        expect(after.rules).toEqual(mixed.filter((rule) => after.rules.includes(rule.id)).map((rule) => rule.id));
      }),
      { numRuns: 1500 },
    );
  });

  const isForbid = (one: RuleOutcome): boolean => one.effect === "forbid";
  const holes: [string, typeof verdictOf][] = [
    [
      "the first rule that matches wins",
      (all, kind) => verdictOf(all.filter((one) => one.outcome !== false).slice(0, 1), kind),
    ],
    [
      "an error in a forbid is passed over",
      (all, kind) =>
        verdictOf(
          all.filter((one) => !isForbid(one) || one.outcome !== "error"),
          kind,
        ),
    ],
    [
      "an error in a permit permits",
      (all, kind) =>
        verdictOf(
          all.map((one) => (one.effect === "permit" && one.outcome === "error" ? { ...one, outcome: true } : one)),
          kind,
        ),
    ],
    [
      "an error in a requireApproval asks nobody",
      (all, kind) =>
        verdictOf(
          all.filter((one) => one.effect !== "requireApproval" || one.outcome !== "error"),
          kind,
        ),
    ],
    ["a notification needs a permit", (all) => verdictOf(all, "reversible")],
    ["what nobody permits is done", (all) => verdictOf(all, "notify")],
    [
      "a notification is never forbidden",
      (all, kind) => verdictOf(kind === "notify" ? all.filter((one) => !isForbid(one)) : all, kind),
    ],
    [
      "a yes is enough to do what is forbidden",
      (all, kind) =>
        verdictOf(
          all.some((one) => one.effect === "requireApproval") ? all.filter((one) => !isForbid(one)) : all,
          kind,
        ),
    ],
  ];
  test.each(holes)("would not pass if %s", (_, combine) => {
    expect(fc.check(agrees(combine), { numRuns: 1000, endOnFailure: true }).failed).toBe(true);
  });
});
