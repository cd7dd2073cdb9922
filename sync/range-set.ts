import type { SeqRange } from "./messages.ts";

/** Whole numbers as disjoint ranges in order, both ends included; neighbours are one range. */
export class RangeSet {
  #ranges: [number, number][] = [];

  constructor(ranges: readonly SeqRange[] = []) {
    for (const [from, to] of ranges) this.add(from, to);
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** How many numbers. */
  get size(): number {
    return this.#ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  }

  list(): readonly SeqRange[] {
    return this.#ranges;
  }

  has(value: number): boolean {
    const range = this.#ranges[this.#firstEndingAt(value)];
    return range !== undefined && range[0] <= value;
  }

  /** The first range that has something at or after `value`, cut off there. */
  from(value: number): SeqRange | undefined {
    const range = this.#ranges[this.#firstEndingAt(value)];
    return range === undefined ? undefined : [Math.max(range[0], value), range[1]];
  }

  add(from: number, to: number): void {
    if (to < from) return;
    const first = this.#firstEndingAt(from - 1);
    let last = first;
    let [low, high] = [from, to];
    for (let range = this.#ranges[last]; range !== undefined && range[0] <= to + 1; range = this.#ranges[last]) {
      low = Math.min(low, range[0]);
      high = Math.max(high, range[1]);
      last += 1;
    }
    this.#ranges.splice(first, last - first, [low, high]);
  }

  remove(from: number, to: number): void {
    if (to < from) return;
    const first = this.#firstEndingAt(from);
    const left: [number, number][] = [];
    let last = first;
    for (let range = this.#ranges[last]; range !== undefined && range[0] <= to; range = this.#ranges[last]) {
      if (range[0] < from) left.push([range[0], from - 1]);
      if (range[1] > to) left.push([to + 1, range[1]]);
      last += 1;
    }
    this.#ranges.splice(first, last - first, ...left);
  }

  /** The index of the first range that ends at `value` or later. */
  #firstEndingAt(value: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle] as [number, number])[1] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
