import type { Position, SeqRange } from "./messages.ts";
import type { Next } from "./outgoing.ts";
import { Pace } from "./pace.ts";

/** A batch that was sent and not acknowledged. */
export interface Flight {
  readonly next: Next;
  readonly lo: number;
  readonly hi: number;
  readonly bytes: number;
  readonly sentMs: number;
  /** How often its first record was sent before. */
  readonly tries: number;
}

/** Which batches are under way, how many may be, and which are overdue. Pure: the caller has the clock. */
export class Flights {
  readonly #pace = new Pace();
  readonly #open = new Set<Flight>();
  readonly #tries = new Map<string, number>();
  #bytesPerSecond = 0;
  #rateFromMs = 0;
  #rateBytes = 0;

  get size(): number {
    return this.#open.size;
  }

  get roundTripMs(): number | undefined {
    return this.#pace.roundTripMs;
  }

  /** What the line would carry: what it did of late, or what may be under way in a round trip; 0 before anything arrived. */
  get bytesPerSecond(): number {
    const { roundTripMs, windowBytes } = this.#pace;
    return Math.max(
      this.#bytesPerSecond,
      roundTripMs === undefined ? 0 : (windowBytes * 1000) / Math.max(1, roundTripMs),
    );
  }

  mayStart(most: number): boolean {
    return this.#pace.mayStart(most);
  }

  get isFull(): boolean {
    return this.#pace.isFull;
  }

  batchBytes(most: number): number {
    return this.#pace.batchBytes(most);
  }

  has(one: Flight): boolean {
    return this.#open.has(one);
  }

  start(next: Next, lo: number, hi: number, bytes: number, sentMs: number): Flight {
    const one = { next, lo, hi, bytes, sentMs, tries: this.#tries.get(nameOf(next, lo)) ?? 0 };
    this.#open.add(one);
    this.#pace.started(bytes);
    return one;
  }

  /** The fleet has all up to this position: what of it was under way has arrived. */
  arrive(position: Position, nowMs: number): void {
    for (const one of this.#open)
      if (one.next.epoch === position.epoch && one.next.stream === position.stream && isCovered(one, position))
        this.land(one, nowMs);
  }

  land(one: Flight, nowMs: number): void {
    this.#open.delete(one);
    this.#tries.delete(nameOf(one.next, one.lo));
    this.#pace.acknowledged(one.bytes, nowMs - one.sentMs, nowMs);
    this.#rateBytes += one.bytes;
    const seconds = (nowMs - this.#rateFromMs) / 1000;
    if (seconds < 1) return;
    const rate = this.#rateBytes / seconds;
    this.#bytesPerSecond = this.#bytesPerSecond === 0 ? rate : this.#bytesPerSecond * 0.8 + rate * 0.2;
    this.#rateFromMs = nowMs;
    this.#rateBytes = 0;
  }

  /** Takes out those whose answer is overdue. */
  overdue(nowMs: number): Flight[] {
    const late = [...this.#open].filter((one) => nowMs - one.sentMs > this.#pace.timeoutMs(one.tries));
    for (const one of late) {
      this.#open.delete(one);
      this.#tries.set(nameOf(one.next, one.lo), one.tries + 1);
      this.#pace.timedOut(one.bytes);
    }
    return late;
  }

  /** The connection is gone, and with it all that was under way. */
  abandon(): Flight[] {
    const all = [...this.#open];
    this.#open.clear();
    this.#pace.reset();
    return all;
  }
}

function nameOf({ epoch, stream }: Next, lo: number): string {
  return `${epoch}/${stream}/${lo}`;
}

function isCovered({ lo, hi }: Flight, { contiguous, ranges }: Position): boolean {
  const isIn = ([from, to]: SeqRange): boolean => from <= lo && hi <= to;
  return hi <= contiguous || ranges.some(isIn);
}
