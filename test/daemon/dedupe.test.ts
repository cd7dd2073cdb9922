import fc from "fast-check";
import { expect, test } from "vitest";
import { Dedupe } from "../../daemon/dedupe.ts";
import { cpuMs } from "../support/cpu-time.ts";

test("remembers the newest ids and forgets the oldest first", () => {
  const seen = new Dedupe(3);
  for (const id of ["a", "b", "c", "b", "d"]) seen.add(id);
  expect(["a", "b", "c", "d"].map((id) => seen.has(id))).toEqual([false, true, true, true]);
  expect(seen.ids()).toEqual(["b", "c", "d"]);
});

test("goes on after a restart as if there had been none", () => {
  const id = fc.string({ minLength: 1, maxLength: 2 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(id), fc.array(id), (capacity, before, after) => {
      const whole = new Dedupe(capacity);
      const first = new Dedupe(capacity);
      for (const one of before) {
        whole.add(one);
        first.add(one);
      }
      const second = new Dedupe(capacity, first.ids());
      for (const one of after) {
        whole.add(one);
        second.add(one);
      }
      expect(second.ids()).toEqual(whole.ids());
    }),
  );
});

test("is a list cut to its newest entries", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat({ max: 20 }).map(String)), (capacity, ids) => {
      const seen = new Dedupe(capacity);
      let plain: string[] = [];
      for (const id of ids) {
        expect(seen.has(id)).toBe(plain.includes(id));
        seen.add(id);
        if (!plain.includes(id)) plain = [...plain, id].slice(-capacity);
        expect(seen.ids()).toEqual(plain);
        expect(seen.size).toBe(plain.length);
      }
    }),
  );
});

test("takes the same time for each id, however many were forgotten", () => {
  const seen = new Dedupe(50_000);
  const tookMs = cpuMs(() => {
    for (let at = 0; at < 300_000; at++) seen.add(`id-${at}`);
  });
  expect(seen.size).toBe(50_000);
  expect(tookMs).toBeLessThan(5000);
});
