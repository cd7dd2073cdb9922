import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FieldValue } from "../../models/field-memory.ts";
import { createLatest, type LatestSpec } from "../../models/latest.ts";

const T0 = 1_700_000_000_000;

function spec(overrides: Partial<LatestSpec> = {}): LatestSpec {
  return {
    fields: [
      { name: "speed", missing: "reject" },
      { name: "load", missing: "last", maxAgeMs: 10_000 },
      { name: "state", type: "string", missing: "null" },
    ],
    maxKeys: 100,
    futureMs: 1000,
    ...overrides,
  };
}

describe("an agent without a window", () => {
  test("passes on the very values of an event that has all fields", () => {
    const latest = createLatest(spec());
    const values = [1, 2, "on"];
    expect(latest.insert("a", values, T0, T0)).toBe("accepted");
    const row = latest.row("a");
    expect(row).toMatchObject({ ok: true, values: [1, 2, "on"], coverage: 1, count: 1, endMs: T0 });
    expect(row.ok && row.values).toBe(values);
  });

  test("fills in the last value until it is too old, and forgets one that may be null", () => {
    const latest = createLatest(spec());
    latest.insert("a", [1, 2, "on"], T0, T0);
    latest.insert("a", [3, undefined, undefined], T0 + 10_000, T0 + 10_000);
    expect(latest.row("a")).toMatchObject({ values: [3, 2, undefined] });
    latest.insert("a", [4, undefined, "off"], T0 + 10_001, T0 + 10_001);
    expect(latest.row("a")).toEqual({ ok: false, reason: "stale:load" });
  });

  test("joins sources, each keeping its own fields", () => {
    const latest = createLatest(spec({ sources: [[0, 2], [1]] }));
    latest.insert("a", [1, undefined, "on"], T0, T0, 0);
    expect(latest.row("a")).toEqual({ ok: false, reason: "waiting:load" });
    latest.insert("a", [undefined, 7, undefined], T0 + 1, T0 + 1, 1);
    expect(latest.row("a")).toMatchObject({ values: [1, 7, "on"], endMs: T0 + 1 });
    expect(latest.row("b")).toEqual({ ok: false, reason: "unknownKey" });
  });

  test("gives a belated event a row of its own values, and remembers the newer ones", () => {
    const latest = createLatest(spec());
    latest.insert("a", [1, 2, "on"], T0, T0);
    latest.insert("a", [8, undefined, "off"], T0 - 500, T0);
    expect(latest.row("a")).toMatchObject({ values: [8, 2, "off"], endMs: T0 - 500 });
    expect(latest.keysWithNews()).toEqual(["a"]);
    expect(latest.row("a")).toMatchObject({ values: [1, 2, "on"], endMs: T0 });
  });

  test("refuses an event from the future and measures age at a given later time", () => {
    const latest = createLatest(spec());
    expect(latest.insert("a", [1, 2, "on"], T0 + 1001, T0)).toBe("future");
    expect(latest.keys).toBe(0);
    latest.insert("a", [1, 2, "on"], T0, T0);
    expect(latest.row("a", T0 + 10_000)).toMatchObject({ ok: true });
    expect(latest.row("a", T0 + 10_001)).toEqual({ ok: false, reason: "stale:load" });
    latest.insert("a", [5, 6, "off"], T0 + 20_000, T0 + 20_000);
    expect(latest.row("a", T0 + 20_001)).toMatchObject({ values: [5, 6, "off"] });
  });

  test("forgets the key seen longest ago and says which", () => {
    const gone: string[] = [];
    const latest = createLatest(spec({ maxKeys: 2, onEvict: (key) => gone.push(key) }));
    for (const key of ["a", "b", "a", "c"]) latest.insert(key, [1, 2, "on"], T0, T0);
    expect(gone).toEqual(["b"]);
    expect(latest).toMatchObject({ keys: 2, evicted: 1 });
  });

  test("remembers the newest value of each field, as plain bookkeeping would", () => {
    const event = fc.record({
      at: fc.integer({ min: 0, max: 20 }),
      values: fc.tuple(
        fc.option(fc.integer(), { nil: undefined }),
        fc.option(fc.integer(), { nil: undefined }),
        fc.option(fc.string(), { nil: undefined }),
      ),
    });
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 40 }), (events) => {
        const fields = spec().fields.map(({ name }) => ({ name, missing: "last" as const }));
        const latest = createLatest(spec({ fields }));
        const newest: { value: FieldValue; at: number }[] = [0, 1, 2].map(() => ({ value: undefined, at: -1 }));
        for (const { at, values } of events) {
          latest.insert("k", values, T0 + at, T0 + at);
          for (const [field, value] of values.entries())
            if (value !== undefined && at >= newest[field]!.at) newest[field] = { value, at };
          const whole = newest.every((field) => field.at >= 0);
          const row = latest.row("k");
          expect(row.ok).toBe(whole);
        }
        latest.keysWithNews();
        const row = latest.row("k");
        if (row.ok) expect(row.values).toEqual(newest.map((field) => field.value));
      }),
      { numRuns: 500 },
    );
  });
});
