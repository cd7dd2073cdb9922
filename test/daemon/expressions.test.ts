import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Declarations, PassValues } from "../../daemon/expression-names.ts";
import { type ExpressionFailure, Expressions } from "../../daemon/expressions.ts";
import { cpuMs } from "../support/cpu-time.ts";

const declarations: Declarations = {
  fields: [
    { name: "vibration", type: "number", min: 0, max: 60 },
    { name: "temperature", type: "number", min: -40, max: 200, optional: true },
    { name: "running", type: "boolean" },
  ],
  features: [
    { name: "vib_rms", type: "number", min: 0, max: 60 },
    { name: "slope", type: "number", min: -5, max: 5 },
  ],
  answer: [
    { name: "score", type: "number", min: 0, max: 1 },
    { name: "classes", type: "numbers", width: 3, min: 0, max: 1 },
    { name: "label", type: "text", values: ["ok", "worn"] },
  ],
  windowed: true,
  device: { name: "gw-1", labels: { zone: "a", "a.b": "x" } },
};

function passOf(over: Partial<PassValues> = {}): PassValues {
  return {
    key: "p1",
    eventId: "e1",
    eventTimeMs: 1_800_000_000_000,
    fields: [3, 20, true],
    row: [8, 0.5],
    coverage: 1,
    windowCount: 60,
    ...over,
  };
}

const answer = { score: 0.95, classes: [0.1, 0.7, 0.2], label: "worn" };

function evaluate(source: string, over: Partial<PassValues> = {}, given: Record<string, unknown> = answer): unknown {
  const expressions = new Expressions(declarations);
  const compiled = expressions.compile(source, "value");
  if (!compiled.ok) throw new Error(compiled.problems.map((one) => one.message).join("; "));
  expressions.bind(passOf(over), given as typeof answer, 1_800_000_001_000);
  expressions.bindState({ sinceLastFiredSeconds: 90, firing: false, passes: 4 });
  return compiled.expression.value();
}

function problemsOf(source: string, given: Declarations = declarations) {
  const compiled = new Expressions(given).compile(source, "condition");
  return compiled.ok ? [] : compiled.problems;
}

const failing = (message: string | RegExp) =>
  expect.objectContaining({ message: typeof message === "string" ? message : expect.stringMatching(message) });

describe("values", () => {
  test.each([
    ["answer.score > 0.9 && features.vib_rms > 7.1", true],
    ["answer.score < 0.6 || !event.fields.running", false],
    ["features.vib_rms * 2 > 5", true],
    ["features.vib_rms + 1", 9],
    ["-features.vib_rms - 1", -9],
    ["7 / 2", 3.5],
    ["-7 % 3", -1],
    ["event.time % 2 == 0", true],
    ["5u > 3", true],
    ["answer.classes[1] > 0.5", true],
    ["answer.classes[int(window.coverage * 2)]", 0.2],
    ["size(answer.classes) + 1", 4],
    ["answer.classes.size()", 3],
    ["answer.classes.exists(p, p > 0.5)", true],
    ["answer.classes.all(p, p > 0.5)", false],
    ["answer.classes.exists_one(p, p > 0.5)", true],
    ["answer.classes.filter(p, p < 0.5).map(p, p * 10)", [1, 2]],
    ["answer.label == 'worn' && answer.label in ['worn', 'broken']", true],
    ["1 in [1, 2]", true],
    ["answer.score > 0.5 ? 'high' : 'low'", "high"],
    ["'no answer for ' + event.key + ' (' + string(answer.score) + ')'", "no answer for p1 (0.95)"],
    ["has(event.id) && event.id == 'e1'", true],
    ["event.key.matches('^p[0-9]+$') && event.key.startsWith('p') && !event.key.contains('q')", true],
    ["double('1.5e1') + int(2.9)", 17],
    ["state.sinceLastFired == 90 && !state.firing && state.passes == 4", true],
    ["device.name == 'gw-1' && device.labels.zone == 'a' && device.labels['a.b'] == 'x'", true],
    ["window.coverage == 1 && window.count == 60 && now - event.time == 1000", true],
    ["timestamp(now).getFullYear('UTC')", 2027],
    ["duration('90s') > duration('1m')", true],
    ["event['key']", "p1"],
  ])("%s gives %j", (source, wanted) => {
    expect(evaluate(source)).toEqual(wanted);
  });

  test("a value that is missing is asked for with has()", () => {
    const guarded = "has(event.fields.temperature) && event.fields.temperature > 10";
    expect(evaluate(guarded)).toBe(true);
    expect(evaluate(guarded, { fields: [3, undefined as never, true] })).toBe(false);
    expect(evaluate(guarded, { fields: undefined })).toBe(false);
  });

  test("all expressions of an agent see what was bound last", () => {
    const expressions = new Expressions(declarations);
    const made = ["answer.score > 0.5", "features.slope > 0"].map((source) => expressions.compile(source, "condition"));
    const [score, slope] = made.map((one) => (one.ok ? one.expression : undefined));
    expressions.bind(passOf({ row: [8, -1] }), { score: 0.1 }, 0);
    expect([score?.test(), slope?.test()]).toEqual([false, false]);
    expressions.bind(passOf({ row: [8, 1] }), { score: 0.9 }, 0);
    expect([score?.test(), slope?.test()]).toEqual([true, true]);
  });
});

describe("what is not finite is an error", () => {
  test.each([
    ["answer.score > 0.9"],
    ["answer.score < 0.9"],
    ["!(answer.score < 0.9)"],
    ["answer.score != 1"],
    ["answer.score == answer.score"],
    ["answer.score in [1, 2]"],
    ["-answer.score > 0"],
    ["answer.score > 0 ? false : true"],
  ])("%s errs for NaN and both infinities", (source) => {
    for (const score of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(evaluate(source, {}, { ...answer, score })).toEqual(failing("answer.score is not a finite number"));
    }
  });

  test("a list with one such number can not be read", () => {
    const given = { ...answer, classes: [0.1, Number.NaN, 0.2] };
    expect(evaluate("answer.classes[0] < 1", {}, given)).toEqual(
      failing("answer.classes is not a list of finite numbers"),
    );
    expect(evaluate("answer.classes.exists(p, p < 1)", {}, given)).toEqual(failing(/finite/));
  });

  test.each([
    ["1 / (answer.score - 0.95) > 1", "division by zero"],
    ["features.vib_rms / 0 > 1", "division by zero"],
    ["event.time * 1e300 > 1", "the result is not a finite number"],
    ["1e308 + 1e308 > 1", "the result is not a finite number"],
    ["-1e308 - 1e308 < 1", "the result is not a finite number"],
    ["5 % 0 == 0", "division by zero"],
    ["double('') > 1", "the text is not a number"],
    ["double('NaN') > 1", "the text is not a number"],
    ["double('1e999') > 1", "the result is not a finite number"],
    ["double('Infinity') > 1", "the text is not a number"],
  ])("%s errs", (source, message) => {
    const expressions = new Expressions(declarations);
    const parts = expressions.parts(source);
    expressions.bind(passOf(), answer, 0);
    expect(parts[0]?.expression.test()).toEqual(failing(message));
  });

  test("an error beside what already decides is not asked for", () => {
    expect(evaluate("features.vib_rms == 0 || 1 / features.vib_rms < 1")).toBe(true);
    expect(evaluate("features.vib_rms == 0 || 1 / features.vib_rms < 1", { row: [0, 1] })).toBe(true);
  });

  test("no arithmetic on any numbers gives a result that is not finite", () => {
    const number = fc.double({ noNaN: false });
    const operator = fc.constantFrom("+", "-", "*", "/", "%");
    fc.assert(
      fc.property(number, number, operator, operator, (a, b, first, second) => {
        const expressions = new Expressions({
          ...declarations,
          features: [
            { name: "a", type: "number" },
            { name: "b", type: "number" },
          ],
        });
        const [whole] = expressions.parts(`features.a ${first} (features.b ${second} features.a)`);
        expressions.bind(passOf({ row: [a, b] }), answer, 0);
        const value = whole?.expression.value();
        const isNumber = typeof value === "number" && Number.isFinite(value);
        expect(isNumber || (value as ExpressionFailure).message.length > 0).toBe(true);
        if (isNumber) expect(Number.isFinite(a) && Number.isFinite(b)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe("refused at load", () => {
  test.each([
    ["answer.scor > 0.9", 7, 'there is no "scor" in answer', 'Did you mean "score"?'],
    ["scor > 0.9", 0, 'there is no "scor" here', 'Did you mean "answer.score"?'],
    ["vibration > 3", 0, 'there is no "vibration" here', 'Did you mean "event.fields.vibration"?'],
    ["event.fields.vibratoin > 1", 13, 'there is no "vibratoin" in event.fields', 'Did you mean "vibration"?'],
    ["answer.score > 1 || features.slop > 1", 29, 'there is no "slop" in features', 'Did you mean "slope"?'],
    ["has(event.fields.temperatur)", 17, 'there is no "temperatur" in event.fields', 'Did you mean "temperature"?'],
    ["event.fields > 2", 5, "event.fields is not a value", /for example event.fields.vibration/],
    ["answer.score.x > 1", 13, 'answer.score is a number and has no "x"', undefined],
    ["answer.constructor == 1", 7, /no "constructor"/, undefined],
    ["answer.__proto__ == 1", 7, /no "__proto__"/, undefined],
    ["features.toString", 9, /no "toString"/, undefined],
    ["payload.x > 1", 0, /no "payload"/, undefined],
    ["constructor == 1", 0, /no "constructor"/, undefined],
    ["sized(answer.classes) > 1", 0, /no function "sized"/, 'Did you mean "size"?'],
    ["event.key.startWith('p')", 9, /no function "startWith"/, 'Did you mean "startsWith"?'],
    ["toString(1) == 'x'", 0, /no function "toString"/, undefined],
    ["event.key.constructor()", 9, /no function "constructor"/, undefined],
  ] as const)("%s", (source, offset, message, hint) => {
    const [problem] = problemsOf(source);
    expect(problem).toMatchObject({
      message: typeof message === "string" ? message : expect.stringMatching(message),
      offset: expect.any(Number),
    });
    if (offset !== 0 && !source.includes("()") && !source.includes("startWith")) expect(problem?.offset).toBe(offset);
    if (hint !== undefined)
      expect(problem?.hint).toEqual(typeof hint === "string" ? hint : expect.stringMatching(hint));
  });

  test.each([
    ["answer.score", "the condition has to be true or false, and this is a number"],
    ["answer.score > 'a'", '">" can not compare a number with text'],
    ["answer.label + 1 == 'a'", '"+" does not go with text and a number'],
    ["event.fields.running + 1 > 2", '"+" does not go with true or false and a number'],
    ["answer.score && true", '"&&" needs true or false, and this is a number'],
    ["!answer.score", '"!" needs true or false, and this is a number'],
    ["answer.score == null", '"==" can not compare a number with null'],
    ["answer.score ? true : false", /before \? has to be true or false/],
    ["answer.score in answer.score", '"in" needs a list, and this is a number'],
    ["answer.label[0] == 'w'", /only lists have places/],
    ["answer.label.exists(c, true)", /need a list/],
    ["answer.classes.exists(c, c > 'a')", '">" can not compare a number with text'],
    ["event.key.matches('(')", /the pattern can not be used/],
    ["event.key.matches(event.key)", /has to be a fixed text/],
    [`event.key.matches('${"a".repeat(300)}')`, /longer than 256/],
    ["{'a': 1}.a == 1", /maps can not be written/],
    ["b'a' == b'a'", /bytes can not be written/],
    ["1e999 > answer.score", "the number is too large"],
    ["size(answer.classes, 2) > 1", /needs 1 argument/],
  ] as const)("%s has the wrong type", (source, message) => {
    expect(problemsOf(source)[0]?.message).toEqual(
      typeof message === "string" ? message : expect.stringMatching(message),
    );
  });

  test.each([
    ["", "the expression is empty", 0],
    ["answer.score >", /can not be read|ends too early/, 13],
    ["answer.score = 1", /can not be read from "= 1" on/, 13],
    ["answer.score > 1 and true", /can not be read from "and true" on/, 17],
    ["'abc", /can not be read/, 0],
    [`${"(".repeat(1500)}true${")".repeat(1500)}`, /can not be read/, 0],
    [`true${" && true".repeat(600)}`, /longer than 4096/, 0],
    [`true${" && true".repeat(150)}`, /parts, 200 are allowed/, 0],
    ["answer.classes.all(x, answer.classes.all(y, x > y))", "a loop stands in a loop", 0],
  ] as const)("%.30s can not be read", (source, message, offset) => {
    const [problem] = problemsOf(source);
    expect(problem?.message).toEqual(typeof message === "string" ? message : expect.stringMatching(message));
    expect(problem?.offset).toBe(offset);
  });

  test.each([
    ["features.slope / features.vib_rms > 1", /errs with features.slope = .*, features.vib_rms = 0: division by zero/],
    ["event.fields.temperature > 10", /event.fields.temperature has no value/],
    ["answer.classes[7] > 0.1", /the list has no such place/],
    ["double(event.key) > 1", /the text is not a number/],
  ])("%s errs for values that can come", (source, message) => {
    expect(problemsOf(source)[0]?.message).toMatch(message);
  });

  test("a guard makes of it what it should have been", () => {
    expect(problemsOf("features.vib_rms != 0 && features.slope / features.vib_rms > 1")).toEqual([]);
  });

  test("every mistake is told at once", () => {
    expect(problemsOf("answer.scor > 1 && featurs.slope > 1 && answer.label > 3")).toHaveLength(3);
  });

  test("no text makes it throw", () => {
    const piece = fc.constantFrom(
      "answer.score",
      "features",
      ".",
      "(",
      ")",
      "[",
      "]",
      "&&",
      "!",
      "1",
      "'a'",
      "has",
      ">",
      "?",
      ":",
      "exists(p, p)",
      "{",
      "}",
      ",",
      " ",
      "-",
      "\u0000",
      "é",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        problemsOf(pieces.join(""));
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        problemsOf(text);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a message's payload", () => {
  const withPayload: Declarations = { ...declarations, payload: true };
  const over = (source: string, payload: unknown) => {
    const expressions = new Expressions(withPayload);
    const compiled = expressions.compile(source, "condition");
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
    expressions.bind(passOf(), undefined, 0, payload);
    return compiled.expression.test();
  };

  test.each([
    ["payload.running == false", { running: false }, true],
    ["payload.a.b[1].c > 2", { a: { b: [1, { c: 3 }] } }, true],
    ["has(payload.x) && payload.x > 1", {}, false],
    ["payload.level * 2 > 5", { level: 3 }, true],
    ["payload == 3", 3, true],
    ["payload.state == null", { state: null }, true],
    ["payload.constructor == 1", JSON.parse('{"constructor": 1}'), true],
  ])("%s", (source, payload, wanted) => {
    expect(over(source, payload)).toBe(wanted);
  });

  test("what it does not have is an error, not false", () => {
    expect(over("payload.running == false", {})).toEqual(failing(/no such key|running/));
    expect(over("payload.__proto__ == 1", {})).toEqual(failing(/__proto__/));
    expect(over("payload.x / payload.y > 1", { x: 1, y: 0 })).toEqual(failing("the result is not a finite number"));
    expect(over("payload.x > 1", { x: Number.NaN })).toEqual(failing(/not finite/));
    expect(over("payload.all(x, true)", new Array(5000).fill(1))).toEqual(failing(/too long/));
  });
});

test("a hostile pattern takes no time", () => {
  const tookMs = cpuMs(() =>
    expect(evaluate("event.key.matches('^(a+)+$')", { key: `${"a".repeat(40)}b` })).toBe(false),
  );
  expect(tookMs).toBeLessThan(1000);
});

test("names that are read are told, so that nothing else need be kept", () => {
  const compiled = new Expressions(declarations).compile("answer.score > 0.5 && has(event.id)", "condition");
  expect(compiled.ok && [...compiled.expression.reads].sort()).toEqual(["answer", "answer.score", "event", "event.id"]);
});
