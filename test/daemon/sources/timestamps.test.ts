import fc from "fast-check";
import { expect, it } from "vitest";
import { timeMs, timeMsOfText } from "../../../daemon/sources/timestamps.ts";

it.each([
  ["s", 1_700_000_000, 1_700_000_000_000],
  ["s", 1_700_000_000.001, 1_700_000_000_001],
  ["ms", 1_700_000_000_123, 1_700_000_000_123],
  ["ms", 1_700_000_000_123.9, 1_700_000_000_123],
  ["us", 1_700_000_000_123_456, 1_700_000_000_123],
  ["s", 0, 0],
  ["iso8601", "2024-02-29T12:30:00Z", Date.UTC(2024, 1, 29, 12, 30)],
  ["iso8601", "2024-02-29T12:30", Date.UTC(2024, 1, 29, 12, 30)],
  ["iso8601", "2024-02-29 12:30:00.123456789", Date.UTC(2024, 1, 29, 12, 30, 0, 123)],
  ["iso8601", "2024-02-29T12:30:00,5+01:00", Date.UTC(2024, 1, 29, 11, 30, 0, 500)],
  ["iso8601", "2024-03-01T00:30:00+0100", Date.UTC(2024, 1, 29, 23, 30)],
  ["iso8601", "2024-02-29T12:30:00-05", Date.UTC(2024, 1, 29, 17, 30)],
  ["iso8601", "2024-02-29", Date.UTC(2024, 1, 29)],
] as const)("reads %s %j", (unit, value, expected) => {
  expect(timeMs(unit, value)).toBe(expected);
});

it.each([
  ["s", -1],
  ["s", 8e9],
  ["ms", "1700000000123"],
  ["us", Number.POSITIVE_INFINITY],
  ["s", null],
  ["iso8601", 1_700_000_000],
  ["iso8601", "2023-02-29T12:30:00Z"],
  ["iso8601", "2024-13-01T00:00:00Z"],
  ["iso8601", "2024-01-01T25:00:00Z"],
  ["iso8601", "1969-12-31T23:59:59Z"],
  ["iso8601", "2201-01-01T00:00:00Z"],
  ["iso8601", "yesterday"],
  ["iso8601", "2024"],
  ["iso8601", "Thu, 01 Jan 2024 00:00:00 GMT"],
] as const)("refuses %s %j", (unit, value) => {
  expect(timeMs(unit, value)).toBeNaN();
});

it("reads what Date writes", () => {
  const dates = fc.date({ min: new Date(0), max: new Date("2200-12-31T23:59:59Z"), noInvalidDate: true });
  fc.assert(
    fc.property(dates, (date) => {
      expect(timeMs("iso8601", date.toISOString())).toBe(date.getTime());
    }),
  );
});

it("reads numbers of texts in decimal only", () => {
  expect(timeMsOfText("ms", "1700000000123")).toBe(1_700_000_000_123);
  expect(timeMsOfText("ms", "0x18bcfe56800")).toBeNaN();
});
