import fc from "fast-check";
import { expect, test } from "vitest";
import { isDeeper } from "../../fleet/nesting.ts";

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test("is as deep as what it says, whatever stands in its strings", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.string(), (json, text) => {
      const whole = { json, [`${text}[{"\\`]: `${text}]}[[[["\\` };
      const written = JSON.stringify(whole);
      const depth = depthOf(whole);
      expect(isDeeper(written, depth)).toBe(false);
      expect(isDeeper(written, depth - 1)).toBe(true);
    }),
  );
});

test("sees a million brackets", () => {
  expect(isDeeper("[".repeat(1_000_000), 100)).toBe(true);
});
