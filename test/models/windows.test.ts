import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type FeatureCall, featureFunctions } from "../../config/feature-syntax.ts";
import { createWindows, type WindowSpec } from "../../models/windows.ts";
import { naive, type Reading } from "../support/naive-features.ts";

const T0 = 1_700_000_000_000;

function spec(overrides: Partial<WindowSpec> = {}): WindowSpec {
  return {
    spanMs: 60_000,
    lateMs: 5_000,
    minimumCoverage: 0,
    maxKeys: 100,
    maxReadings: 1000,
    futureMs: 3_600_000,
    fields: [{ name: "x", missing: "reject" }],
    features: [call("count")],
    ...overrides,
  };
}

function call(fn: FeatureCall["fn"], field = "x", argument?: number): FeatureCall {
  return { fn, field, argument };
}

const everyFeature = featureFunctions.map((fn) => call(fn, "x", fn === "quantile" ? 0.95 : undefined));

function near(found: number, expected: number, size: number): boolean {
  if (Number.isNaN(expected)) return Number.isNaN(found);
  return Math.abs(found - expected) <= 1e-9 * Math.max(1, Math.abs(expected), size);
}

/** Readings with steps in time, in order; values coarse enough that the naive sums keep their digits. */
const steps = fc.array(
  fc.record({
    stepMs: fc.integer({ min: 0, max: 4000 }),
    value: fc.integer({ min: -1000, max: 1000 }).map((n) => n / 8),
  }),
  { minLength: 1, maxLength: 120 },
);

function timed(list: readonly { stepMs: number; value: number }[], least = 0): Reading[] {
  let timeMs = T0;
  return list.map(({ stepMs, value }) => {
    timeMs += Math.max(stepMs, least);
    return { timeMs, value };
  });
}

describe("a window's row", () => {
  test("equals a plain recomputation over the readings in it, for every feature", () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1000, max: 90_000 }), (list, spanMs) => {
        const windows = createWindows(spec({ spanMs, features: everyFeature }));
        const readings = timed(list);
        for (const { timeMs, value } of readings) expect(windows.insert("k", [value], timeMs, timeMs)).toBe("accepted");
        const end = readings.at(-1)!.timeMs;
        const inside = readings.filter(({ timeMs }) => timeMs > end - spanMs && timeMs <= end);
        const row = windows.row("k");
        if (!row.ok) throw new Error(row.reason);
        expect(row.count).toBe(inside.length);
        expect(row.endMs).toBe(end);
        for (const [at, { fn, argument }] of everyFeature.entries()) {
          const expected = naive(fn, inside, argument);
          if (!near(row.values[at] as number, expected, fn === "slope" ? 1e3 : 1))
            throw new Error(`${fn}: ${row.values[at]} is not ${expected}`);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("is the same for any order of arrival within lateness", () => {
    const disturbed = fc.tuple(
      steps,
      fc.infiniteStream(fc.integer({ min: 0, max: 5000 })),
      fc.integer({ min: 1, max: 80 }),
    );
    fc.assert(
      fc.property(disturbed, ([list, delays, maxReadings]) => {
        const inOrder = timed(list, 1);
        // A delay of at most lateMs keeps every reading within lateness of the newest one before it.
        const arriving = inOrder
          .map((reading) => ({ reading, at: reading.timeMs + delays.next().value! }))
          .sort((a, b) => a.at - b.at);
        const sorted = createWindows(spec({ features: everyFeature, maxReadings }));
        const mixed = createWindows(spec({ features: everyFeature, maxReadings }));
        for (const { timeMs, value } of inOrder) sorted.insert("k", [value], timeMs, timeMs);
        for (const { reading } of arriving)
          expect(mixed.insert("k", [reading.value], reading.timeMs, reading.timeMs)).toBe("accepted");
        expect(mixed.row("k")).toEqual(sorted.row("k"));
        expect(mixed.truncated).toBe(sorted.truncated);
      }),
    );
  });

  test("keeps readings of equal time in order of arrival", () => {
    const windows = createWindows(spec({ features: [call("first"), call("last"), call("count")] }));
    for (const value of [3, 1, 2]) windows.insert("k", [value], T0, T0);
    expect(windows.row("k")).toMatchObject({ values: [3, 2, 3] });
  });

  test("leaves out what is exactly a span old", () => {
    const windows = createWindows(spec({ lateMs: 120_000 }));
    windows.insert("k", [1], T0, T0);
    windows.insert("k", [1], T0 + 59_999, T0);
    expect(windows.row("k")).toMatchObject({ values: [2] });
    windows.insert("k", [1], T0 + 60_000, T0);
    expect(windows.row("k")).toMatchObject({ values: [2] });
    expect(windows.insert("k", [1], T0, T0)).toBe("late");
  });

  test("ends at the watermark, or later where a time is given", () => {
    const windows = createWindows(spec());
    windows.insert("k", [1], T0, T0);
    windows.insert("k", [1], T0 + 30_000, T0);
    expect(windows.row("k", T0 + 10_000)).toMatchObject({ endMs: T0 + 30_000, values: [2] });
    expect(windows.row("k", T0 + 70_000)).toMatchObject({ endMs: T0 + 70_000, values: [1] });
    expect(windows.row("k", T0 + 90_000)).toEqual({ ok: false, reason: "empty" });
    expect(windows.row("k")).toMatchObject({ values: [2] });
  });

  test("forgets the oldest beyond maxReadings, counts it, and grows and shrinks with what it holds", () => {
    const windows = createWindows(spec({ spanMs: 1e9, maxReadings: 100, features: [call("count"), call("first")] }));
    for (let at = 0; at < 250; at++) windows.insert("k", [at], T0 + at, T0);
    expect(windows.row("k")).toMatchObject({ values: [100, 150] });
    expect(windows.truncated).toBe(150);
    windows.insert("k", [-1], T0 + 2e9, T0 + 2e9);
    expect(windows.row("k")).toMatchObject({ values: [1, -1] });
  });
});

describe("what a window takes in", () => {
  test("is late by more than lateMs behind the newest of its key, and not by exactly that", () => {
    const windows = createWindows(spec());
    windows.insert("a", [1], T0, T0);
    expect(windows.insert("a", [1], T0 - 5000, T0)).toBe("accepted");
    expect(windows.insert("a", [1], T0 - 5001, T0)).toBe("late");
    expect(windows.insert("b", [1], T0 - 5001, T0)).toBe("accepted");
    const strict = createWindows(spec({ lateMs: 0 }));
    strict.insert("a", [1], T0, T0);
    expect(strict.insert("a", [1], T0, T0)).toBe("accepted");
    expect(strict.insert("a", [1], T0 - 1, T0)).toBe("late");
  });

  test("is refused when it is from the future or has no time, and makes no key", () => {
    const windows = createWindows(spec());
    expect(windows.insert("a", [1], T0 + 3_600_001, T0)).toBe("future");
    expect(windows.insert("a", [1], Number.NaN, T0)).toBe("future");
    expect(windows.keys).toBe(0);
    expect(windows.insert("a", [1], T0 + 3_600_000, T0)).toBe("accepted");
  });

  test("counts true as 1 and false as 0, and skips numbers that are not finite", () => {
    const fields = [{ name: "x", type: "boolean" as const, missing: "reject" as const }];
    const windows = createWindows(spec({ fields, features: [call("mean"), call("last")] }));
    for (const [at, value] of [true, false, true, true].entries()) windows.insert("k", [value], T0 + at, T0);
    expect(windows.row("k")).toMatchObject({ values: [0.75, true] });
    const numbers = createWindows(spec());
    numbers.insert("k", [Number.POSITIVE_INFINITY], T0, T0);
    expect(numbers.row("k")).toEqual({ ok: false, reason: "empty" });
  });

  test("refuses features that a field of text can not have", () => {
    const fields = [{ name: "x", type: "string" as const, missing: "reject" as const }];
    expect(() => createWindows(spec({ fields, features: [call("mean")] }))).toThrow(
      expect.objectContaining({ code: "WINDOW_FEATURE" }),
    );
    expect(() => createWindows(spec({ features: [call("mean", "y")] }))).toThrow(
      expect.objectContaining({ code: "WINDOW_FEATURE" }),
    );
    const windows = createWindows(spec({ fields, features: [call("last")] }));
    windows.insert("k", ["open"], T0, T0);
    expect(windows.row("k")).toMatchObject({ ok: true, values: ["open"] });
  });
});

describe("coverage", () => {
  test("is full when evenly spaced readings fill the window", () => {
    const windows = createWindows(spec({ minimumCoverage: 1 }));
    for (let at = 0; at < 59; at++) windows.insert("k", [1], T0 + at * 1000, T0);
    expect(windows.row("k")).toEqual({ ok: false, reason: "coverage" });
    windows.insert("k", [1], T0 + 59_000, T0);
    expect(windows.row("k")).toMatchObject({ ok: true, coverage: 1, count: 60 });
    windows.insert("k", [1], T0 + 60_000, T0);
    expect(windows.row("k")).toMatchObject({ ok: true, coverage: 1, count: 60 });
  });

  test("says nothing for a single reading, also after a long silence", () => {
    const windows = createWindows(spec({ minimumCoverage: 0.1 }));
    windows.insert("k", [1], T0, T0);
    expect(windows.row("k")).toEqual({ ok: false, reason: "coverage" });
    for (let at = 0; at < 60; at++) windows.insert("k", [1], T0 + at * 1000, T0);
    windows.insert("k", [1], T0 + 600_000, T0 + 600_000);
    expect(windows.row("k")).toEqual({ ok: false, reason: "coverage" });
  });

  test("counts the expected readings where the agent says how many", () => {
    const windows = createWindows(spec({ expectEveryMs: 10_000 }));
    for (let at = 0; at < 3; at++) windows.insert("k", [1], T0 + at * 1000, T0);
    expect(windows.row("k")).toMatchObject({ coverage: 0.5 });
    for (let at = 3; at < 30; at++) windows.insert("k", [1], T0 + at * 1000, T0);
    expect(windows.row("k")).toMatchObject({ coverage: 1 });
  });

  test("is that of the least filled field", () => {
    const fields = [
      { name: "x", missing: "reject" as const },
      { name: "y", missing: "reject" as const },
    ];
    const windows = createWindows(
      spec({ fields, sources: [[0], [1]], features: [call("mean"), call("mean", "y")], expectEveryMs: 10_000 }),
    );
    for (let at = 0; at < 6; at++) windows.insert("k", [1, undefined], T0 + at * 1000, T0, 0);
    windows.insert("k", [undefined, 1], T0 + 5000, T0, 1);
    expect(windows.row("k")).toMatchObject({ coverage: 1 / 6, count: 1 });
  });
});

describe("fields of several sources", () => {
  const fields = [
    { name: "vibration", missing: "reject" as const },
    { name: "temperature", missing: "last" as const, maxAgeMs: 120_000 },
    { name: "note", type: "string" as const, missing: "null" as const },
  ];
  const joined = (): ReturnType<typeof createWindows> =>
    createWindows(
      spec({ fields, sources: [[0, 2], [1]], features: [call("rms", "vibration"), call("last", "temperature")] }),
    );

  test("wait for a field never seen and say when one is stale", () => {
    const windows = joined();
    windows.insert("p", [3, undefined, undefined], T0, T0, 0);
    expect(windows.row("p")).toEqual({ ok: false, reason: "waiting:temperature" });
    windows.insert("p", [undefined, 20, undefined], T0, T0, 1);
    expect(windows.row("p")).toMatchObject({ values: [3, 20] });
    // Older than the window, but the agent says that it counts for two minutes.
    windows.insert("p", [4, undefined, undefined], T0 + 120_000, T0, 0);
    expect(windows.row("p")).toMatchObject({ values: [4, 20] });
    windows.insert("p", [4, undefined, undefined], T0 + 120_001, T0, 0);
    expect(windows.row("p")).toEqual({ ok: false, reason: "stale:temperature" });
    expect(windows.row("q")).toEqual({ ok: false, reason: "unknownKey" });
  });

  test("forget a null field when its own source leaves it out, and not when another one speaks", () => {
    const windows = joined();
    windows.insert("p", [3, undefined, "hot"], T0, T0, 0);
    windows.insert("p", [undefined, 20, undefined], T0 + 1, T0, 1);
    expect(windows.row("p")).toMatchObject({ fields: [3, 20, "hot"] });
    windows.insert("p", [3, undefined, undefined], T0 + 2, T0, 0);
    expect(windows.row("p")).toMatchObject({ fields: [3, 20, undefined] });
  });
});

describe("keys", () => {
  test("are forgotten in the order in which they were last seen, as a plain list would", () => {
    const keys = fc.array(fc.integer({ min: 0, max: 12 }).map(String), { maxLength: 200 });
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 8 }), (arrivals, maxKeys) => {
        const gone: string[] = [];
        const windows = createWindows(spec({ maxKeys, onEvict: (key) => gone.push(key) }));
        const expectedGone: string[] = [];
        let list: string[] = [];
        for (const [at, key] of arrivals.entries()) {
          windows.insert(key, [1], T0 + at, T0);
          const isKnown = list.includes(key);
          list = [...list.filter((other) => other !== key), key];
          if (!isKnown && list.length > maxKeys) expectedGone.push(list.shift()!);
        }
        expect(gone).toEqual(expectedGone);
        expect(windows.evicted).toBe(expectedGone.length);
        expect(windows.keysWithNews()).toEqual(list);
        expect(windows.keys).toBe(list.length);
      }),
    );
  });

  test("have news once, and are dirty by a mark of their own", () => {
    const windows = createWindows(spec());
    windows.insert("a", [1], T0, T0);
    windows.insert("b", [1], T0, T0);
    windows.insert("a", [1], T0 - 9000, T0);
    expect(windows.keysWithNews()).toEqual(["a", "b"]);
    expect(windows.keysWithNews()).toEqual([]);
    windows.insert("a", [1], T0 + 1, T0);
    expect(windows.keysWithNews()).toEqual(["a"]);
    expect(windows.dirtyKeys()).toEqual(["b", "a"]);
    expect(windows.dirtyKeys()).toEqual([]);
  });
});
