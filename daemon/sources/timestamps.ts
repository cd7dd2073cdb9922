import { decimal } from "./plain-text.ts";

export type TimestampUnit = "s" | "ms" | "us" | "iso8601";

const LATEST_MS = Date.UTC(2201, 0, 1);
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)(Z|[+-]\d\d(?::?\d\d)?)?)?$/;

/** Wall time in whole ms, or NaN where the value is no time between 1970 and 2200. */
export function timeMs(unit: TimestampUnit, value: unknown): number {
  const ms = unit === "iso8601" ? isoMs(value) : epochMs(unit, value);
  return ms >= 0 && ms < LATEST_MS ? ms : Number.NaN;
}

/** The same for a text that has no types: a CSV column. */
export function timeMsOfText(unit: TimestampUnit, text: string): number {
  return unit === "iso8601" ? timeMs(unit, text) : timeMs(unit, decimal(text));
}

function epochMs(unit: "s" | "ms" | "us", value: unknown): number {
  if (typeof value !== "number") return Number.NaN;
  if (unit === "ms") return Math.floor(value);
  // Seconds come with fractions that binary can't hold: 1.001 s are 1001 ms, not 1000.
  return unit === "s" ? Math.round(value * 1000) : Math.floor(value / 1000);
}

function isoMs(value: unknown): number {
  if (typeof value !== "string" || value.length > 40) return Number.NaN;
  const parts = ISO.exec(value);
  if (parts === null) return Number.NaN;
  const [, date, time = "00:00", zone = "Z"] = parts;
  // Without a zone it is UTC: the gateway's own zone says nothing about the sensor's.
  const ms = Date.parse(`${date}T${time.replace(",", ".")}${wholeZone(zone)}`);
  return isRealDate(date ?? "", ms, zone) ? ms : Number.NaN;
}

function wholeZone(zone: string): string {
  if (zone === "Z" || zone.length === 6) return zone;
  return zone.length === 3 ? `${zone}:00` : `${zone.slice(0, 3)}:${zone.slice(3)}`;
}

/** Date.parse takes the 30th of February for the 1st of March. */
function isRealDate(date: string, ms: number, zone: string): boolean {
  if (Number.isNaN(ms)) return false;
  if (zone !== "Z") return new Date(`${date}T00:00:00Z`).toISOString().startsWith(date);
  return new Date(ms).toISOString().startsWith(date);
}
