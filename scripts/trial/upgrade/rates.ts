import { eachDecision } from "../fixtures.ts";

/** When each decision of an agent was made, in ms since 1970, in order. */
export function decisionTimes(data: string, agent: string): number[] {
  const times: number[] = [];
  for (const { decision } of eachDecision(data, agent)) times.push(decision.decidedAt);
  return times.sort((a, b) => a - b);
}

export interface Span {
  readonly what: string;
  readonly fromMs: number;
  readonly toMs: number;
}

const AROUND_MS = 15_000;

/** Decisions a second before, during and after, and the longest time without one: `250, 31, 270; 4.1 s`. */
export function ratesAround(times: readonly number[], { fromMs, toMs }: Span): string {
  const rate = (from: number, to: number): number =>
    Math.round(times.filter((time) => time >= from && time < to).length / ((to - from) / 1000));
  const first = times.findLastIndex((time) => time < fromMs);
  const last = times.findIndex((time) => time > toMs);
  let pause = last === -1 ? Number.POSITIVE_INFINITY : 0;
  for (let at = Math.max(first, 0) + 1; at <= last; at++)
    pause = Math.max(pause, (times[at] as number) - (times[at - 1] as number));
  const [before, during, after] = [rate(fromMs - AROUND_MS, fromMs), rate(fromMs, toMs), rate(toMs, toMs + AROUND_MS)];
  return `${before}, ${during}, ${after}; ${Math.round(pause / 100) / 10} s`;
}
