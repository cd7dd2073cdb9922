import { expect, test } from "vitest";
import { Penalties } from "../../fleet/penalties.ts";

test("a gateway that wastes time is not listened to for twenty times as long, and others are", () => {
  const penalties = new Penalties();
  penalties.wasted("bad", 50, 10_000);
  expect(penalties.isShut("bad", 10_999)).toBe(true);
  expect(penalties.isShut("good", 10_999)).toBe(false);
  expect(penalties.isShut("bad", 11_000)).toBe(false);
});

test("what it wastes adds up, to a minute at most", () => {
  const penalties = new Penalties();
  for (let n = 0; n < 100; n++) penalties.wasted("bad", 1, 0);
  expect(penalties.isShut("bad", 24_999)).toBe(true);
  expect(penalties.isShut("bad", 25_000)).toBe(false);
  for (let n = 0; n < 100; n++) penalties.wasted("bad", 1000, 30_000);
  expect(penalties.isShut("bad", 89_999)).toBe(true);
  expect(penalties.isShut("bad", 90_000)).toBe(false);
});
