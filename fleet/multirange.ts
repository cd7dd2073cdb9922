import type { SeqRange } from "../sync/messages.ts";
import { RangeSet } from "../sync/range-set.ts";

/** PostgreSQL's text of an int8multirange, `{[1,10),[12,13)}`, as ranges with both ends included. */
export function rangesOf(text: string): SeqRange[] {
  return [...text.matchAll(/\[(\d+),(\d+)\)/g)].map(([, from, to]) => [Number(from), Number(to) - 1]);
}

export function multirangeOf(ranges: readonly SeqRange[]): string {
  return `{${ranges.map(([from, to]) => `[${from},${to + 1})`).join(",")}}`;
}

export interface Covered {
  /** All up to here is there; 0: nothing. */
  readonly contiguous: number;
  readonly beyond: readonly SeqRange[];
}

/** What is stored or known to be dropped, as an acknowledgement says it. */
export function coveredBy(have: string, dropped: string): Covered {
  const all = new RangeSet(rangesOf(have));
  for (const [from, to] of rangesOf(dropped)) all.add(from, to);
  const [first, ...rest] = all.list();
  if (first === undefined) return { contiguous: 0, beyond: [] };
  return first[0] === 1 ? { contiguous: first[1], beyond: rest } : { contiguous: 0, beyond: all.list() };
}
