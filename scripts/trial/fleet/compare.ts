import { type Claims, quantile, spread } from "../claims.ts";
import type { Phases } from "./phases.ts";

/** Something that took a time, and when it began. */
export interface Timed {
  readonly atMs: number;
  readonly tookMs: number;
}

/** What is compared within one run, so that whatever else the machine does falls upon all of it alike. */
export interface Comparison {
  readonly phases: Phases;
  /** The phase that is as it always is, the one in which something is tried, and others that are told beside them. */
  readonly usual: string;
  readonly tried: string;
  readonly beside: readonly string[];
  /** What is tried may take so many times what it usually takes, */
  readonly mostRatio: number;
  /** and so many milliseconds: of a few, one is no difference that anybody notices. */
  readonly allowanceMs: number;
  /** Begins each title, where a trial has several parts. */
  readonly prefix?: string;
}

/** Of so few that one of a hundred is none, the half counts. */
export const FEW = 0.5;

export function compare(
  what: string,
  all: readonly Timed[],
  { phases, usual, tried, beside, mostRatio, allowanceMs, prefix = "" }: Comparison,
  claims: Claims,
  by: { readonly share: number; readonly moreMs: number } = { share: 0.99, moreMs: 0 },
): void {
  const took = new Map<string, number[]>();
  for (const { atMs, tookMs } of all) {
    const phase = phases.at(atMs);
    const known = took.get(phase);
    if (known === undefined) took.set(phase, [tookMs]);
    else known.push(tookMs);
  }
  const at = (phase: string): number => {
    const values = [...(took.get(phase) ?? [])].sort((one, other) => one - other);
    return Math.round(quantile(values, by.share) * 10) / 10;
  };
  const [usualMs, triedMs] = [at(usual), at(tried)];
  const names = [usual, tried, ...beside];
  claims.figure(
    `${prefix}${what}, ms: ${names.join("; ")}`,
    names.map((phase) => told(took.get(phase) ?? [])).join("; "),
  );
  claims.figure(
    `${prefix}${what}: p${by.share * 100} ${tried} / ${usual}`,
    Math.round((triedMs / usualMs) * 100) / 100,
  );
  claims.holds(
    triedMs <= usualMs * mostRatio + allowanceMs + by.moreMs,
    `${prefix}${what}: p${by.share * 100} ${triedMs} ms ${tried}, ${usualMs} ms ${usual}`,
  );
}

function told(values: readonly number[]): string {
  const { p50, p99, count } = spread(values);
  return `${p50} / ${p99} (${count})`;
}

/** Each of `expected` once, and nothing else. */
export function once(
  what: string,
  expected: Iterable<string>,
  seen: ReadonlyMap<string, number>,
  claims: Claims,
): void {
  let [count, missing] = [0, 0];
  for (const id of expected) {
    count += 1;
    if (!seen.has(id)) missing += 1;
  }
  const all = [...seen.values()].reduce((sum, n) => sum + n, 0);
  const twice = all - seen.size;
  const foreign = seen.size - (count - missing);
  claims.figure(
    `${what}: expected, seen, missing, twice, of nothing`,
    [count, all, missing, twice, foreign].join(", "),
  );
  claims.holds(
    count > 0 && missing + twice + foreign === 0,
    `${what}: ${missing} missing, ${twice} twice, ${foreign} of nothing`,
  );
}
