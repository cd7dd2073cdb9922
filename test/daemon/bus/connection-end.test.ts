import fc from "fast-check";
import { expect, it } from "vitest";
import { type ConnectionEnd, describeEnd, reconnectDelayMs } from "../../../daemon/bus/connection-end.ts";

const ends: fc.Arbitrary<ConnectionEnd> = fc.oneof(
  fc.record({ kind: fc.constant("refused" as const), code: fc.nat({ max: 255 }) }),
  fc.record({ kind: fc.constant("dismissed" as const), code: fc.nat({ max: 255 }) }),
  fc.record({
    kind: fc.constant("failed" as const),
    code: fc.constantFrom(undefined, "ECONNREFUSED", "EODD"),
    message: fc.constant("m"),
    wasConnected: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("closed" as const), wasConnected: fc.boolean() }),
);

it("waits longer with each failure, within bounds, and never not at all", () => {
  fc.assert(
    fc.property(ends, fc.nat({ max: 1000 }), fc.double({ min: 0, max: 1, noNaN: true }), (end, attempt, random) => {
      const delayMs = reconnectDelayMs(end, attempt, random);
      expect(delayMs).toBeGreaterThanOrEqual(50);
      expect(delayMs).toBeLessThanOrEqual(1_200_000);
      expect(reconnectDelayMs(end, attempt + 1, random)).toBeGreaterThanOrEqual(delayMs);
      expect(describeEnd(end)).toMatch(/^The .*\.$/);
    }),
  );
  expect(reconnectDelayMs({ kind: "closed", wasConnected: true }, 100, 1)).toBeLessThan(31_000);
  expect(reconnectDelayMs({ kind: "dismissed", code: 0x8e }, 0, 0)).toBe(60_000);
});
