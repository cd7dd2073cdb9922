import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type FeatureFunction, featureFunctions } from "../../config/feature-syntax.ts";
import { quantileOf } from "../../models/feature-quantile.ts";
import { FieldFeatures, featureMeanings, featureUnit } from "../../models/features.ts";
import { Series } from "../../models/series.ts";
import { cpuMs } from "../support/cpu-time.ts";

interface Case {
  name: string;
  times: number[];
  values: number[];
  features: Record<string, number | null>;
  quantiles: [number, number][];
}

const fixture = new URL("../fixtures/feature-values.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, "utf8")) as { cases: Case[] };

function seriesOf(times: readonly number[], values: readonly number[]): Series {
  const series = new Series();
  for (const [at, time] of times.entries()) series.insert(time, values[at]!, Number.POSITIVE_INFINITY);
  return series;
}

function compute(fn: FeatureFunction, series: Series, argument?: number, from = 0): number {
  const row: number[] = [];
  new FieldFeatures([{ fn, field: "x", argument }], [0]).fill(row, series, from);
  return row[0]!;
}

/** Within `relative` of the value, or of the size of the numbers that went in where they cancel out. */
function expectNear(found: number, expected: number | null, size: number, relative = 1e-12): void {
  if (expected === null) expect(found).toBeNaN();
  else expect(Math.abs(found - expected)).toBeLessThanOrEqual(relative * Math.max(Math.abs(expected), size));
}

describe("features against numpy and scipy", () => {
  for (const { name, times, values, features, quantiles } of cases) {
    test(`agrees over "${name}"`, () => {
      const series = seriesOf(times, values);
      for (const fn of featureFunctions) {
        if (fn === "quantile") continue;
        // Third and fourth moments of values that differ in their last digits only are numbers near zero themselves.
        const size = fn === "skew" || fn === "kurtosis" ? 1 : 0;
        expectNear(compute(fn, series), features[fn]!, size, fn === "slope" ? 1e-11 : 1e-12);
      }
      for (const [q, expected] of quantiles) expectNear(compute("quantile", series, q), expected, 0);
    });
  }
});

describe("features of windows that say little", () => {
  test("are NaN without readings, but for count, sum and zeroCrossings", () => {
    for (const fn of featureFunctions) {
      const found = compute(fn, new Series(), fn === "quantile" ? 0.5 : undefined);
      expect(found, fn).toBe(["count", "sum", "zeroCrossings"].includes(fn) ? 0 : Number.NaN);
    }
  });

  test("have no slope and no shape with one reading", () => {
    const series = seriesOf([1000], [7]);
    for (const fn of ["slope", "kurtosis", "skew"] as const) expect(compute(fn, series)).toBeNaN();
    for (const fn of ["std", "var", "range", "delta", "zeroCrossings"] as const) expect(compute(fn, series)).toBe(0);
    for (const fn of ["last", "first", "sum", "mean", "min", "max", "rms", "median"] as const)
      expect(compute(fn, series)).toBe(7);
  });

  test("are exact when all readings are equal, whatever the value", () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, min: -1e300, max: 1e300 }),
        fc.integer({ min: 2, max: 99 }),
        (value, many) => {
          const series = seriesOf([...Array(many).keys()], Array(many).fill(value));
          for (const fn of ["mean", "min", "max", "median"] as const) expect(compute(fn, series)).toBe(value);
          for (const fn of ["std", "var", "range", "delta", "slope"] as const)
            expect(Math.abs(compute(fn, series))).toBe(0);
          expect(compute("rms", series)).toBe(Math.abs(value));
          expect(compute("skew", series)).toBeNaN();
          expect(compute("kurtosis", series)).toBeNaN();
        },
      ),
    );
  });

  test("have no slope when all times are equal", () => {
    expect(compute("slope", seriesOf([5, 5, 5], [1, 2, 3]))).toBeNaN();
  });

  test("pass over zeros when counting sign changes", () => {
    expect(compute("zeroCrossings", seriesOf([1, 2, 3, 4, 5], [1, 0, 1, 0, -1]))).toBe(1);
    expect(compute("zeroCrossings", seriesOf([1, 2, 3], [0, -0, 0]))).toBe(0);
  });
});

test("a quantile is the same as from a sorted copy, also for orders made to be slow", () => {
  const sorted = (values: number[], q: number): number => {
    const ranks = [...values].sort((a, b) => a - b);
    const rank = (ranks.length - 1) * q;
    const low = ranks[Math.floor(rank)]!;
    const high = ranks[Math.ceil(rank)]!;
    return low + (high - low) * (rank - Math.floor(rank));
  };
  const values = fc.array(fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ noNaN: true, min: -1e6, max: 1e6 })), {
    minLength: 1,
    maxLength: 300,
  });
  fc.assert(
    fc.property(values, fc.double({ noNaN: true, min: 0, max: 1 }), (readings, q) => {
      expectNear(
        quantileOf(Float64Array.from(readings), readings.length, q),
        sorted(readings, q),
        Math.max(...readings.map(Math.abs)),
      );
    }),
  );
  const organPipe = Float64Array.from({ length: 100_000 }, (_, at) => Math.min(at, 100_000 - at));
  expect(cpuMs(() => expect(quantileOf(organPipe, organPipe.length, 0.5)).toBe(25_000))).toBeLessThan(1000);
});

test("units follow from the field's", () => {
  expect(featureUnit("rms", "mm/s")).toBe("mm/s");
  expect(featureUnit("var", "mm/s")).toBe("(mm/s)²");
  expect(featureUnit("var", "degC")).toBe("degC²");
  expect(featureUnit("slope", "degC")).toBe("degC/s");
  expect(featureUnit("kurtosis", "degC")).toBe("1");
  expect(featureUnit("zeroCrossings", undefined)).toBe("1");
  expect(featureUnit("mean", undefined)).toBeUndefined();
  expect(featureUnit("var", "1")).toBe("1");
});

test("every function says what it means", () => {
  expect(Object.keys(featureMeanings).sort()).toEqual([...featureFunctions].sort());
});
