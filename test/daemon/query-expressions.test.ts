import { describe, expect, test } from "vitest";
import type { Declarations } from "../../daemon/expression-names.ts";
import { ExpressionFailure, Expressions } from "../../daemon/expressions.ts";

const declarations: Declarations = {
  fields: [],
  features: [],
  answer: [{ name: "score", type: "number", min: 0, max: 1 }],
  queries: ["tariff", "constructor"],
  windowed: false,
  device: { name: "gw", labels: {} },
};

const pass = { key: "p1", eventId: undefined, eventTimeMs: 0, fields: [], row: [], coverage: 0, windowCount: 0 };

function truthOf(source: string, queries?: Record<string, unknown>): boolean | string {
  const expressions = new Expressions(declarations);
  const compiled = expressions.compile(source, "condition");
  if (!compiled.ok) throw new Error(compiled.problems.map((one) => one.message).join("; "));
  expressions.bind({ ...pass, queries }, { score: 0.5 }, 0);
  const truth = compiled.expression.test();
  return truth instanceof ExpressionFailure ? truth.message : truth;
}

const tariff = { price: 0.31, band: { name: "high", hours: [6, 9] }, on: true };

describe("what was answered", () => {
  test("is read whole, by its levels and by its places", () => {
    expect(truthOf("query.tariff > 3", { tariff: 3.5 })).toBe(true);
    expect(truthOf("query.tariff.price > 0.3", { tariff })).toBe(true);
    expect(truthOf("query.tariff.price * 2 > 0.7", { tariff })).toBe(false);
    expect(truthOf("query.tariff['price'] > 0.3 && query['tariff'].on", { tariff })).toBe(true);
    expect(truthOf("query.tariff.band.name == 'high' && query.tariff.band.hours[1] == 9", { tariff })).toBe(true);
    expect(truthOf("query.tariff.band.hours.exists(h, h > 8)", { tariff })).toBe(true);
    expect(truthOf("query.tariff == null", { tariff: null })).toBe(true);
  });

  test("can be asked for with has, at every level", () => {
    expect(truthOf("has(query.tariff) && has(query.tariff.price) && !has(query.tariff.cost)", { tariff })).toBe(true);
    expect(truthOf("has(query.tariff.band.name)", { tariff })).toBe(true);
    for (const path of ["query.tariff", "query.tariff.price", "query.tariff.band.name"]) {
      expect(truthOf(`has(${path})`)).toBe(false);
      expect(truthOf(`has(${path})`, {})).toBe(false);
      expect(truthOf(`!has(${path}) && answer.score > 0.4`)).toBe(true);
    }
  });

  test("is an error where it is not there, so that no rule fires by it", () => {
    expect(truthOf("query.tariff.price < 0.3")).toBe("query.tariff has no value");
    expect(truthOf("!(query.tariff.price < 0.3)")).toBe("query.tariff has no value");
    expect(truthOf("query.tariff.cost < 1", { tariff })).toMatch(/cost/);
    expect(truthOf("query.tariff", { tariff: "yes" })).toBe("the condition is not true or false");
    expect(truthOf("query.constructor > 1")).toBe("query.constructor has no value");
    expect(truthOf("has(query.constructor)")).toBe(false);
  });

  test("is not taken for anything else", () => {
    const problemsOf = (source: string, given = declarations) => {
      const compiled = new Expressions(given).compile(source, "condition");
      return compiled.ok ? [] : compiled.problems.map((one) => one.message);
    };
    expect(problemsOf("query.tarif > 1")).toEqual(['there is no "tarif" in query']);
    expect(problemsOf("query.tariff > 1", { ...declarations, queries: [] })).toEqual(['there is no "query" here']);
    // What is wrong beside the question still shows when it is loaded.
    expect(problemsOf("answer.score / 0 > query.tariff")[0]).toMatch(/^it errs/);
  });
});
