import type { Io } from "./io.ts";

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Colour = keyof typeof CODES;
export type Paint = (text: string, colour: Colour) => string;

/** Colours only on a terminal, and never against NO_COLOR (no-color.org). */
export function painter(io: Io): Paint {
  const noColour = io.environment["NO_COLOR"];
  if (!io.terminal || (noColour !== undefined && noColour !== "")) return (text) => text;
  return (text, colour) => `\u001b[${CODES[colour]}m${text}\u001b[0m`;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration as a person says it: "850 ms", "12 s", "3 min", "5 h", "12 days". */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const size = Math.abs(ms);
  if (size < SECOND) return `${Math.round(ms)} ms`;
  if (size < 2 * MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (size < 2 * HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (size < 2 * DAY) return `${Math.round(ms / HOUR)} h`;
  return `${Math.round(ms / DAY)} days`;
}

/** "3 min ago", or the time itself when it is long past. */
export function age(wallMs: number, nowMs: number): string {
  const passed = nowMs - wallMs;
  if (passed < -2 * SECOND || passed > 60 * DAY) return time(wallMs);
  return passed < SECOND ? "just now" : `${duration(passed)} ago`;
}

/** UTC, to the second, without the letters that a person does not read. */
export function time(wallMs: number): string {
  return new Date(wallMs).toISOString().replace("T", " ").slice(0, 19);
}

/** ISO 8601 in UTC with milliseconds: what --json prints. */
export function iso(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes in decimal units: "512 B", "1.4 MB". */
export function bytes(count: number): string {
  let size = count;
  let unit = 0;
  while (Math.abs(size) >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(size) : size.toPrecision(3).replace(/\.?0+$/, "")} ${UNITS[unit]}`;
}

/** Whole numbers with thin groups: "22 695". */
export function count(n: number): string {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, " ");
}

/** A measured number with as many digits as a person needs. */
export function figure(value: unknown): string {
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(1) : String(Number(value.toPrecision(4)));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the colour codes that take no room on the screen.
const COLOUR_CODE = /\u001b\[\d+m/g;

function width(text: string): number {
  return [...text.replace(COLOUR_CODE, "")].length;
}

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Aligned columns under a dim heading; without rows only `empty`. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  paint: Paint,
  empty: string,
): string {
  if (rows.length === 0) return `${empty}\n`;
  const widths = columns.map((column, at) => Math.max(width(column.title), ...rows.map((row) => width(row[at] ?? ""))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => {
        const room = " ".repeat(Math.max(0, (widths[at] ?? 0) - width(cell)));
        return columns[at]?.right === true ? room + cell : cell + room;
      })
      .join("  ")
      .trimEnd();
  const heading = paint(line(columns.map((column) => column.title)), "dim");
  return `${[heading, ...rows.map(line)].join("\n")}\n`;
}

const UNSAFE = /[^\u0020-\u007e\u00a0-\uffff]/g;

/** Text from outside (keys, topics, reasons) without control characters: a sensor must not steer a terminal. */
export function safe(text: string, longest = 120): string {
  const clean = text.replace(UNSAFE, "·");
  return clean.length > longest ? `${clean.slice(0, longest - 1)}…` : clean;
}
