/** Something that waits for its turn at a host. */
export interface Waiting {
  readonly deadlineMs: number;
  /** Runs in a batch of its own, since a batch with it failed. */
  readonly alone: boolean;
  /** Place among the others of its priority; the queue gives it. */
  order: number;
}

/** First in, first out for one model at one priority; knows a lower bound of its deadlines. */
interface Line<T> {
  readonly model: number;
  items: T[];
  head: number;
  soonestMs: number;
}

/** What runs next: the model, and its items to run together. */
export interface Batch<T> {
  readonly model: number;
  readonly items: T[];
}

export type Priority = 0 | 1 | 2 | 3;
const PRIORITIES = 4;

/**
 * Who runs next at one host. Strictly by priority; within one, the model whose oldest item has waited longest; then all
 * that this model has waiting, up to its batch. Nothing waits for a batch to fill.
 */
export class BatchQueue<T extends Waiting> {
  readonly #limit: number;
  readonly #lines: Line<T>[][] = [];
  readonly #sizes: number[] = [];
  #order = 0;
  #frontOrder = 0;

  /** `limit` is how many may wait in each priority. */
  constructor(limit: number) {
    this.#limit = limit;
    for (let p = 0; p < PRIORITIES; p++) {
      this.#lines.push([]);
      this.#sizes.push(0);
    }
  }

  get size(): number {
    return (this.#sizes[0] ?? 0) + (this.#sizes[1] ?? 0) + (this.#sizes[2] ?? 0) + (this.#sizes[3] ?? 0);
  }

  room(priority: Priority): number {
    return Math.max(0, this.#limit - (this.#sizes[priority] ?? 0));
  }

  /** False when the priority is full; the item is not taken then. */
  push(model: number, priority: Priority, item: T): boolean {
    if (this.room(priority) === 0) return false;
    const line = this.#line(model, priority);
    item.order = this.#order++;
    line.items.push(item);
    line.soonestMs = Math.min(line.soonestMs, item.deadlineMs);
    this.#sizes[priority] = (this.#sizes[priority] ?? 0) + 1;
    return true;
  }

  /** Puts items ahead of all others of their priority, in their order; they were let in before, so no limit holds. */
  putBack(model: number, priority: Priority, items: readonly T[]): void {
    if (items.length === 0) return;
    const line = this.#line(model, priority);
    this.#frontOrder -= items.length;
    let order = this.#frontOrder;
    for (const item of items) {
      item.order = order++;
      line.soonestMs = Math.min(line.soonestMs, item.deadlineMs);
    }
    line.items = [...items, ...line.items.slice(line.head)];
    line.head = 0;
    this.#sizes[priority] = (this.#sizes[priority] ?? 0) + items.length;
  }

  /** The model that would run next, without taking anything. */
  peek(isReady: (model: number) => boolean): number | undefined {
    return this.#next(isReady)?.line.model;
  }

  /** Takes the next batch. Items that are too late go into `expired` instead. */
  take(
    nowMs: number,
    isReady: (model: number) => boolean,
    batchRows: (model: number) => number,
    expired: T[],
  ): Batch<T> | undefined {
    for (let next = this.#next(isReady); next !== undefined; next = this.#next(isReady)) {
      const { line, priority } = next;
      const items = this.#fill(line, priority, nowMs, batchRows(line.model), expired);
      if (items.length > 0) return { model: line.model, items };
    }
    return undefined;
  }

  #fill(line: Line<T>, priority: number, nowMs: number, rows: number, expired: T[]): T[] {
    const items: T[] = [];
    while (items.length < rows && line.head < line.items.length) {
      const item = line.items[line.head] as T;
      if (item.deadlineMs > nowMs) {
        if (item.alone && items.length > 0) break;
        items.push(item);
      } else expired.push(item);
      line.head++;
      this.#sizes[priority] = (this.#sizes[priority] ?? 0) - 1;
      if (item.alone && items.length > 0) break;
    }
    compact(line);
    return items;
  }

  /** Moves all that is too late into `expired`. */
  expire(nowMs: number, expired: T[]): void {
    for (let p = 0; p < PRIORITIES; p++) {
      for (const line of this.#lines[p] ?? []) {
        if (line.soonestMs > nowMs || line.head === line.items.length) continue;
        this.#sift(line, p, (item) => item.deadlineMs <= nowMs, expired);
      }
    }
  }

  /** Takes out all that waits for a model, or for any. */
  drain(model: number | undefined, out: T[]): void {
    for (let p = 0; p < PRIORITIES; p++) {
      for (const line of this.#lines[p] ?? []) {
        if (model === undefined || line.model === model) this.#sift(line, p, () => true, out);
      }
    }
  }

  #sift(line: Line<T>, priority: number, isOut: (item: T) => boolean, out: T[]): void {
    const kept: T[] = [];
    line.soonestMs = Number.POSITIVE_INFINITY;
    for (let i = line.head; i < line.items.length; i++) {
      const item = line.items[i] as T;
      if (isOut(item)) out.push(item);
      else {
        kept.push(item);
        line.soonestMs = Math.min(line.soonestMs, item.deadlineMs);
      }
    }
    this.#sizes[priority] = (this.#sizes[priority] ?? 0) - (line.items.length - line.head - kept.length);
    line.items = kept;
    line.head = 0;
  }

  #line(model: number, priority: number): Line<T> {
    const lines = this.#lines[priority] as Line<T>[];
    for (const line of lines) if (line.model === model) return line;
    const line: Line<T> = { model, items: [], head: 0, soonestMs: Number.POSITIVE_INFINITY };
    lines.push(line);
    return line;
  }

  #next(isReady: (model: number) => boolean): { line: Line<T>; priority: number } | undefined {
    for (let priority = 0; priority < PRIORITIES; priority++) {
      if (this.#sizes[priority] === 0) continue;
      let oldest: Line<T> | undefined;
      for (const line of this.#lines[priority] ?? []) {
        if (line.head === line.items.length || !isReady(line.model)) continue;
        if (oldest === undefined || orderOf(line) < orderOf(oldest)) oldest = line;
      }
      if (oldest !== undefined) return { line: oldest, priority };
    }
    return undefined;
  }
}

function orderOf<T extends Waiting>(line: Line<T>): number {
  return line.items[line.head]?.order ?? Number.POSITIVE_INFINITY;
}

const COMPACT_AT = 1024;

function compact<T>(line: Line<T>): void {
  if (line.head === line.items.length) {
    line.items = [];
    line.head = 0;
    line.soonestMs = Number.POSITIVE_INFINITY;
  } else if (line.head >= COMPACT_AT) {
    line.items = line.items.slice(line.head);
    line.head = 0;
  }
}
