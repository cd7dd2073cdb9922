import type { ReadDatabase } from "./sqlite-reader.ts";

const SAMPLES = 256;
/** Rows of one moment lie this near to each other: commits are paced, and a clock is corrected by little at a time. */
const SLACK_MS = 120_000;

export interface Segment {
  readonly from: number;
  readonly to: number;
}

/**
 * The parts of the log that may hold rows of this time. Rows lie nearly in order of time, but a clock may have been set
 * back; so the log is sampled instead of searched by halves.
 */
export function segmentsOf(database: ReadDatabase, sinceMs: number, untilMs: number): Segment[] {
  const [first, last] = [boundary(database, "min"), boundary(database, "max")];
  if (first === undefined || last === undefined) return [];
  if (sinceMs === Number.NEGATIVE_INFINITY && untilMs === Number.POSITIVE_INFINITY) return [{ from: first, to: last }];
  const at = database.prepare("SELECT wallMs FROM record WHERE n >= ? ORDER BY n LIMIT 1").pluck();
  const step = Math.max(1, Math.ceil((last - first + 1) / SAMPLES));
  const segments: Segment[] = [];
  let from = first;
  let fromMs = at.get(from) as number;
  while (from <= last) {
    const to = Math.min(last, from + step);
    const toMs = (at.get(to) as number | undefined) ?? fromMs;
    const [low, high] = [Math.min(fromMs, toMs) - SLACK_MS, Math.max(fromMs, toMs) + SLACK_MS];
    if (high >= sinceMs && low <= untilMs) join(segments, from, to);
    if (to === last) break;
    from = to;
    fromMs = toMs;
  }
  return segments;
}

function join(segments: Segment[], from: number, to: number): void {
  const before = segments.at(-1);
  if (before !== undefined && before.to >= from) segments[segments.length - 1] = { from: before.from, to };
  else segments.push({ from, to });
}

function boundary(database: ReadDatabase, which: "min" | "max"): number | undefined {
  return (database.prepare(`SELECT ${which}(n) FROM record`).pluck().get() as number | null) ?? undefined;
}
