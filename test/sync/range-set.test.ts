import fc from "fast-check";
import { expect, test } from "vitest";
import { RangeSet } from "../../sync/range-set.ts";

const step = fc.record({
  adds: fc.boolean(),
  from: fc.integer({ min: 1, max: 60 }),
  length: fc.integer({ min: 0, max: 20 }),
});

test("is what a set of single numbers is, in the fewest ranges", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const ranges = new RangeSet();
      const plain = new Set<number>();
      for (const { adds, from, length } of steps) {
        const to = from + length - 1;
        if (adds) ranges.add(from, to);
        else ranges.remove(from, to);
        for (let n = from; n <= to; n++) {
          if (adds) plain.add(n);
          else plain.delete(n);
        }
      }
      const listed = ranges.list().flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at));
      expect(listed).toEqual([...plain].sort((one, other) => one - other));
      expect(ranges.size).toBe(plain.size);
      for (const [at, [from]] of ranges.list().entries())
        if (at > 0) expect(from).toBeGreaterThan((ranges.list()[at - 1]?.[1] ?? 0) + 1);
      for (let n = 1; n <= 80; n++) {
        expect(ranges.has(n)).toBe(plain.has(n));
        const next = [...plain].filter((one) => one >= n).sort((one, other) => one - other)[0];
        expect(ranges.from(n)?.[0]).toBe(next);
      }
    }),
  );
});
