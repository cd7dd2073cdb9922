import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backoffMs, usualBackoff } from "../../sync/backoff.ts";

const counts = fc.integer({ min: 0, max: 1_000_000 });
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const { baseMs, capMs, refusedCapMs, takenOverMs } = usualBackoff;

describe("the wait for the next try", () => {
  test("lies below a bound that doubles up to the cap", () => {
    fc.assert(
      fc.property(counts, randoms, (count, random) => {
        const ms = backoffMs(count, "usual", random);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(Math.min(capMs, baseMs * 2 ** Math.min(count, 60)));
      }),
    );
  });

  test("is anywhere below it, so that a fleet does not come back at one time", () => {
    const most = Array.from({ length: 1000 }, (_, at) => backoffMs(20, "usual", at / 1000));
    const tenths = Array.from(
      { length: 10 },
      (_, at) => most.filter((ms) => Math.floor((ms * 10) / capMs) === at).length,
    );
    expect(tenths).toEqual(Array(10).fill(100));
  });

  test("is longer where we are refused, and never so short where another one has our name", () => {
    fc.assert(
      fc.property(counts, randoms, (count, random) => {
        expect(backoffMs(count, "refused", random)).toBeLessThanOrEqual(refusedCapMs);
        const ms = backoffMs(count, "takenOver", random);
        expect(ms).toBeGreaterThanOrEqual(takenOverMs);
        expect(ms).toBeLessThanOrEqual(takenOverMs + refusedCapMs);
      }),
    );
    expect(backoffMs(30, "refused", 0.999)).toBeGreaterThan(capMs);
  });

  test("keeps to a fleet's own cap, also where that is longer than the one for the refused", () => {
    const limits = { ...usualBackoff, capMs: 3_600_000 };
    expect(backoffMs(30, "usual", 0.5, limits)).toBe(1_800_000);
    expect(backoffMs(30, "refused", 0.5, limits)).toBe(1_800_000);
  });
});
