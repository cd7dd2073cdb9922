import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FieldValue } from "../../models/field-memory.ts";
import { createWindows, type JournalReading, type WindowSpec, type Windows } from "../../models/windows.ts";

const T0 = 1_700_000_000_000;
const SPAN = 30_000;

function windowsOf(overrides: Partial<WindowSpec> = {}): Windows {
  return createWindows({
    spanMs: SPAN,
    lateMs: 5_000,
    minimumCoverage: 0,
    maxKeys: 4,
    maxReadings: 50,
    futureMs: 0,
    fields: [
      { name: "x", missing: "reject" },
      { name: "y", missing: "null" },
      { name: "state", type: "string", missing: "last" },
      { name: "on", type: "boolean", missing: "null", maxAgeMs: 60_000 },
    ],
    sources: [
      [0, 1],
      [2, 3],
    ],
    features: (["mean", "slope", "quantile", "first", "last"] as const).flatMap((fn) => [
      { fn, field: "x", argument: 0.3 },
      { fn, field: "y", argument: 0.3 },
    ]),
    ...overrides,
  });
}

const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.constant(-0),
);
const values: fc.Arbitrary<{ source: number; values: FieldValue[] }> = fc.oneof(
  fc
    .tuple(value, fc.option(value, { nil: undefined }))
    .map(([x, y]) => ({ source: 0, values: [x, y, undefined, undefined] })),
  fc
    .tuple(fc.option(fc.string({ unit: "binary" }), { nil: undefined }), fc.option(fc.boolean(), { nil: undefined }))
    .map(([state, on]) => ({ source: 1, values: [undefined, undefined, state, on] })),
);
const key = fc.integer({ min: 0, max: 5 }).map((n) => `pump-${n}`);
const step = fc.oneof(fc.integer({ min: -6000, max: 9000 }), fc.double({ noNaN: true, min: -6000, max: 9000 }));
const arrivals = fc.array(fc.record({ key, step, event: values }), { minLength: 1, maxLength: 250, size: "max" });

type Arrivals = readonly { key: string; step: number; event: { source: number; values: FieldValue[] } }[];

/** Inserts all; returns what a journal would hold, and what each key shows. */
function run(windows: Windows, list: Arrivals): JournalReading[] {
  const journal: JournalReading[] = [];
  let timeMs = T0;
  for (const { key, step, event } of list) {
    timeMs += step;
    const outcome = windows.insert(key, event.values, timeMs, Number.POSITIVE_INFINITY, event.source);
    if (outcome === "accepted") journal.push({ key, timeMs, ...event });
  }
  return journal;
}

const keys = [0, 1, 2, 3, 4, 5].map((n) => `pump-${n}`);
const shown = (windows: Windows): unknown => keys.map((key) => [key, windows.row(key), windows.dump(key)]);

describe("a window that is kept over a restart", () => {
  test("comes back exactly from its dumps", () => {
    fc.assert(
      fc.property(arrivals, arrivals, (before, after) => {
        const windows = windowsOf();
        run(windows, before);
        const restored = windowsOf();
        // dirtyKeys gives the keys silent longest first, which is also the order in which they are put back.
        for (const key of windows.dirtyKeys()) expect(restored.load(key, windows.dump(key)!)).toBe(true);
        expect(shown(restored)).toEqual(shown(windows));
        expect(restored.keysWithNews()).toEqual([]);
        // And goes on as if nothing had been.
        run(windows, after);
        run(restored, after);
        expect(shown(restored)).toEqual(shown(windows));
      }),
    );
  });

  test("comes back exactly from its journal", () => {
    fc.assert(
      fc.property(arrivals, (list) => {
        const windows = windowsOf();
        const journal = run(windows, list);
        const restored = windowsOf();
        expect(restored.replay(journal)).toBe(journal.length);
        expect(shown(restored)).toEqual(shown(windows));
      }),
    );
  });

  test("comes back whole from a journal that is in the order of the decisions, not of the arrivals", () => {
    const spec = { lateMs: 0, fields: [{ name: "x", missing: "reject" as const }], sources: [[0]] };
    const features = [{ fn: "count" as const, field: "x", argument: undefined }];
    const windows = windowsOf({ ...spec, features });
    const journal = [1, 2, 3].map((n) => ({ key: "pump-0", timeMs: T0 + n, source: 0, values: [n] }));
    for (const { key, values, timeMs } of journal) windows.insert(key, values, timeMs, timeMs);
    const restored = windowsOf({ ...spec, features });
    expect(restored.replay(journal.reverse())).toBe(3);
    expect(restored.row("pump-0")).toEqual(windows.row("pump-0"));
  });

  test("comes back exactly from dumps up to a time and the journal from then on", () => {
    fc.assert(
      fc.property(arrivals, arrivals, fc.double({ noNaN: true, min: 0, max: 1.1 }), (first, second, share) => {
        const windows = windowsOf({ maxKeys: 100 });
        let journal = run(windows, first);
        const newest = Math.max(...journal.map((reading) => reading.timeMs));
        const cutMs = T0 + (newest - T0) * share;
        const dumps = new Map(windows.keysNeeding(cutMs).map((key) => [key, windows.dump(key, cutMs)!]));
        journal = journal.filter((reading) => reading.timeMs >= cutMs);
        // The daemon goes on for a while, and then it ends.
        const later = run(windows, second);
        const restored = windowsOf({ maxKeys: 100 });
        for (const [key, bytes] of dumps) expect(restored.load(key, bytes)).toBe(true);
        restored.replay([...journal, ...later]);
        expect(shown(restored)).toEqual(shown(windows));
      }),
    );
  });

  test("names the silent keys that hold the journal back", () => {
    const windows = windowsOf();
    windows.insert("silent", [1, 2, undefined, undefined], T0, T0, 0);
    windows.insert("busy", [1, 2, undefined, undefined], T0 + 900_000, T0 + 900_000, 0);
    expect(windows.keysNeeding(T0 + 900_000 - SPAN)).toEqual(["silent"]);
    windows.dump("silent", T0 + 900_000 - SPAN);
    expect(windows.keysNeeding(T0 + 900_000 - SPAN)).toEqual([]);
    windows.insert("silent", [1, 2, undefined, undefined], T0 + 1, T0 + 1, 0);
    expect(windows.keysNeeding(T0 + 900_000 - SPAN)).toEqual(["silent"]);
  });

  test("takes few bytes where readings come in whole milliseconds and short numbers", () => {
    const windows = windowsOf({ maxReadings: 1000 });
    for (let at = 0; at < 30; at++)
      windows.insert("k", [at / 4, at * 2, undefined, undefined], T0 + at * 1000, T0 + 60_000, 0);
    // Two values of four bytes and a step of two, a reading.
    expect(windows.dump("k")!.length).toBeLessThan(30 * 10 + 100);
  });

  test("refuses dumps of other fields, and damaged ones, without harm", () => {
    const windows = windowsOf();
    run(windows, [
      { key: "k", step: 0, event: { source: 0, values: [1.5, 2, undefined, undefined] } },
      { key: "k", step: 1, event: { source: 1, values: [undefined, undefined, "open", true] } },
    ]);
    const bytes = windows.dump("k")!;
    const other = windowsOf({ fields: [{ name: "x", missing: "reject" }], sources: [[0]], features: [] });
    expect(other.load("k", bytes)).toBe(false);
    expect(windowsOf().load("k", bytes.subarray(0, bytes.length - 1))).toBe(false);
    expect(windowsOf().load("k", Uint8Array.from([...bytes, 0]))).toBe(false);
    expect(windowsOf().load("k", new Uint8Array(0))).toBe(false);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), fc.nat(bytes.length), (noise, at) => {
        const damaged = Uint8Array.from([...bytes.subarray(0, at), ...noise, ...bytes.subarray(at + noise.length)]);
        const restored = windowsOf();
        if (restored.load("k", damaged)) restored.row("k");
        else expect(restored.keys).toBe(0);
      }),
    );
    expect(windows.dump("unknown")).toBeUndefined();
  });
});
