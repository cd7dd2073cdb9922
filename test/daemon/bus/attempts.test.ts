import { expect, it } from "vitest";
import { Attempts } from "../../../daemon/bus/attempts.ts";
import type { ConnectionEnd } from "../../../daemon/bus/connection-end.ts";

const away: ConnectionEnd = { kind: "failed", code: "ECONNREFUSED", message: "", wasConnected: false };
const closed: ConnectionEnd = { kind: "closed", wasConnected: true };
const silent: ConnectionEnd = { kind: "closed", wasConnected: false };

it("waits longer after each failure, and is patient again after a connection that lasted", () => {
  const attempts = new Attempts();
  const first = attempts.ended(away, 0, 1);
  const second = attempts.ended(away, 0, 1);
  expect(second).toBeGreaterThan(first);
  attempts.opened(1_000);
  expect(attempts.ended(closed, 2_000, 1)).toBeGreaterThan(second);
  attempts.opened(10_000);
  expect(attempts.ended(closed, 20_000, 1)).toBe(first);
  expect(attempts.count).toBe(1);
});

it("speaks the older version to a broker that refuses the newer one, and the other way round", () => {
  const attempts = new Attempts();
  expect(attempts.version).toBe(5);
  attempts.ended({ kind: "refused", code: 0x84 }, 0, 0);
  expect(attempts.version).toBe(4);
  attempts.ended({ kind: "refused", code: 1 }, 0, 0);
  expect(attempts.version).toBe(5);
});

it("tries the older version when the broker keeps hanging up, and both in turn from then on", () => {
  const attempts = new Attempts();
  const versions = [1, 2, 3, 4, 5].map(() => {
    attempts.ended(silent, 0, 0);
    return attempts.version;
  });
  expect(versions).toEqual([5, 5, 4, 5, 4]);
  attempts.opened(0);
  attempts.ended(silent, 0, 0);
  expect(attempts.version).toBe(4);
});
