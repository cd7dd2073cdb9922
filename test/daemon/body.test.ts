import fc from "fast-check";
import { expect, test } from "vitest";
import { type DecisionLine, decisionWriter } from "../../daemon/body.ts";
import { createIds } from "../../daemon/ids.ts";
import { decisionSchema, readDecision } from "../../sync/records.ts";

const model = { name: "pump-anomaly", version: 3, digest: "0123456789abcdef" };
const form = {
  agent: 'agent "a"',
  generation: "0123456789abcdef",
  arm: "incumbent",
  model,
  inputNames: ["x", "y z", "é"],
  fieldNames: ["f"],
  outputNames: ["score", "label"],
  windowed: true,
  privateNames: [],
};
const newId = createIds();

const line: DecisionLine = {
  id: newId(1_700_000_000_000),
  key: "p1",
  eventId: "e1",
  eventTimeMs: 1_700_000_000_000,
  receivedMs: 1_700_000_000_001,
  decidedMs: 1_700_000_000_002,
  bootMs: 5,
  trust: "synced",
  inputs: [1.5, -0, 1e21],
  fields: [2],
  coverage: 0.5,
  windowCount: 3,
  state: "",
  answer: { score: 0.25, label: "ok" },
  rules: [{ id: "r", fired: true, why: "fired" }],
  source: "answer",
  reason: undefined,
  probability: 1,
  trace: undefined,
  batch: 1,
  queueUs: 1,
  inferUs: 2,
  decideUs: 3,
};

test("a line put together by hand is a decision by the schema, and says what it was given", () => {
  const write = decisionWriter(form);
  const texts = fc.string({ unit: "binary", maxLength: 40 });
  const number = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(
      texts,
      fc.option(texts, { nil: undefined }),
      fc.array(number, { minLength: 3, maxLength: 3 }),
      texts,
      fc.boolean(),
      (key, eventId, inputs, why, fired) => {
        const body = write({ ...line, key, eventId, inputs, rules: [{ id: "r", fired, why }] });
        expect(decisionSchema.safeParse(JSON.parse(body)).success).toBe(true);
        const read = readDecision(body);
        expect(read).toMatchObject({
          key,
          agent: form.agent,
          arm: "incumbent",
          source: "answer",
          model,
          clock: { bootMs: 5, trust: "synced" },
        });
        expect(read.eventId).toBe(eventId);
        expect(read.rules).toEqual([{ id: "r", fired, why }]);
        expect(Object.values(read.inputs)).toEqual(inputs.map((value) => (Object.is(value, -0) ? 0 : value)));
      },
    ),
  );
});

test("what is not finite or not there is null in the line", () => {
  const read = readDecision(decisionWriter(form)({ ...line, inputs: [Number.NaN, Number.POSITIVE_INFINITY] }));
  expect(Object.values(read.inputs)).toEqual([null, null, null]);
});

test("a fallback says its source and reason, a sampled pass its probability, a batch its size", () => {
  const read = readDecision(
    decisionWriter(form)({
      ...line,
      source: "fallback",
      reason: "timeout",
      answer: undefined,
      rules: [],
      probability: 0.25,
      batch: 7,
    }),
  );
  expect(read).toMatchObject({ source: "fallback", reason: "timeout", samplingProbability: 0.25, batch: 7, rules: [] });
  expect(read.answer).toBeUndefined();
});

test("what was answered to questions stands in the line as it was", () => {
  const queries = { tariff: { price: 0.31, hours: [6, 9] }, on: true, none: null };
  const body = decisionWriter(form)({ ...line, queries: JSON.stringify(queries) });
  expect(decisionSchema.safeParse(JSON.parse(body)).success).toBe(true);
  expect(readDecision(body).queries).toEqual(queries);
  expect(readDecision(decisionWriter(form)(line)).queries).toBeUndefined();
});
