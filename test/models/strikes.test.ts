import { expect, it } from "vitest";
import { blamed, respawnDelayMs, STRIKE_WINDOW_MS, strikesAt, withStrike } from "../../models/strikes.ts";

it("forgets a strike after ten minutes", () => {
  const strikes = withStrike(withStrike([], 0), 1000);
  expect(strikesAt(strikes, STRIKE_WINDOW_MS - 1)).toBe(2);
  expect(strikesAt(strikes, STRIKE_WINDOW_MS)).toBe(1);
  expect(withStrike(strikes, STRIKE_WINDOW_MS + 500)).toEqual([1000, STRIKE_WINDOW_MS + 500]);
});

it("waits twice as long for each host, up to five seconds, and begins anew after a stable one", () => {
  const waits: number[] = [];
  for (let wait = respawnDelayMs(0, 0); waits.length < 9; wait = respawnDelayMs(wait, 100)) waits.push(wait);
  expect(waits).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  expect(respawnDelayMs(5000, 30_000)).toBe(50);
});

it("blames the running model for a hang or a crash, for memory only where no other can be meant, else nobody", () => {
  const mixed = { head: 1, isHeadWatched: false, models: [1, 2] };
  expect(blamed("timeout", mixed)).toBe(1);
  expect(blamed("crash", mixed)).toBe(1);
  expect(blamed("memory", mixed)).toBeUndefined();
  expect(blamed("memory", { ...mixed, isHeadWatched: true })).toBe(1);
  expect(blamed("memory", { ...mixed, models: [1, 1] })).toBe(1);
  expect(blamed("memory", { head: undefined, isHeadWatched: false, models: [] })).toBeUndefined();
  for (const cause of ["planned", "protocol", "killedFromOutside"] as const)
    expect(blamed(cause, mixed)).toBeUndefined();
});
