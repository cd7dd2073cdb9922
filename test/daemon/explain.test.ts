import { expect, test } from "vitest";
import { explainExpression, type RecordedDecision, seenBy } from "../../daemon/explain.ts";
import type { Declarations } from "../../daemon/expression-names.ts";

const declarations: Declarations = {
  fields: [{ name: "vibration", type: "number" }],
  features: [
    { name: "vib_rms", type: "number" },
    { name: "slope", type: "number" },
  ],
  answer: [
    { name: "score", type: "number" },
    { name: "classes", type: "numbers", width: 2 },
  ],
  windowed: true,
  device: { name: "gw", labels: {} },
};

const decision: RecordedDecision = {
  key: "p1",
  eventTime: 1000,
  decidedAt: 2000,
  inputs: { vib_rms: 8, slope: null },
  fields: { vibration: 3 },
  window: { coverage: 0.5, count: 30 },
  state: { stop: { sinceMs: null, firing: true, lastFiredMs: 12_500, passes: 3, failing: false } },
  answer: { score: 0.95, classes: [0.2, 0.8] },
};

function lines(source: string, rule = "stop"): string[] {
  return explainExpression(source, declarations, seenBy(rule, decision, declarations)).map(
    ({ text, depth, value, error }) => `${"  ".repeat(depth)}${text} = ${error ?? JSON.stringify(value)}`,
  );
}

test("shows each part of a condition with its value, outermost first", () => {
  expect(lines("answer.score > 0.9 && features.vib_rms * 2 > 7.1 && !has(event.id)")).toEqual([
    "answer.score > 0.9 && features.vib_rms * 2 > 7.1 && !has(event.id) = true",
    "  answer.score > 0.9 = true",
    "    answer.score = 0.95",
    "  features.vib_rms * 2 > 7.1 = true",
    "    features.vib_rms * 2 = 16",
    "      features.vib_rms = 8",
    "  !has(event.id) = true",
    "    has(event.id) = false",
  ]);
});

test("says why a part has no value", () => {
  expect(lines("features.slope > 1 || answer.score > 0.5")).toEqual([
    "features.slope > 1 || answer.score > 0.5 = true",
    "  features.slope > 1 = features.slope has no value",
    "    features.slope = features.slope has no value",
    "  answer.score > 0.5 = true",
    "    answer.score = 0.95",
  ]);
});

test("shows a loop as one part, with the list that it runs over", () => {
  expect(lines("answer.classes.exists(p, p > 0.7)")).toEqual([
    "answer.classes.exists(p, p > 0.7) = true",
    "  answer.classes = [0.2,0.8]",
  ]);
});

test("sees the rule's own past as it was", () => {
  expect(lines("state.firing && state.sinceLastFired == 12.5 && state.passes == 3")[0]).toMatch(/= true$/);
  expect(lines("!state.firing && state.sinceLastFired > 1000000", "another")[0]).toMatch(/= true$/);
  expect(lines("window.coverage == 0.5 && window.count == 30 && now - event.time == 1000")[0]).toMatch(/= true$/);
  expect(lines("event.fields.vibration == 3")[0]).toMatch(/= true$/);
});

test("explains what can no longer be read by saying nothing", () => {
  expect(lines("answer.score >")).toEqual([]);
});

test("shows what was answered to questions, and hides it where it is private", () => {
  const asking = { ...declarations, queries: ["tariff", "who"] };
  const answered = { ...decision, queries: { tariff: { price: 0.31 }, who: "maria" } };
  const seen = seenBy("stop", answered, asking);
  const parts = explainExpression("query.tariff.price > 0.3 && query.who == 'maria'", asking, seen, ["who"]);
  expect(parts.map(({ text, value, error }) => [text, value ?? error])).toEqual([
    ['query.tariff.price > 0.3 && query.who == "maria"', "(private)"],
    ["query.tariff.price > 0.3", true],
    ["query.tariff.price", 0.31],
    ['query.who == "maria"', "(private)"],
    ["query.who", "(private)"],
  ]);
  const unasked = explainExpression("has(query.tariff.price)", asking, seenBy("stop", decision, asking));
  expect(unasked[0]?.value).toBe(false);
});
