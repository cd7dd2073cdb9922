import { streams } from "./kinds.ts";
import type { Position, SeqRange, Span } from "./messages.ts";
import { RangeSet } from "./range-set.ts";

/** How long rows of a stream may gather before a batch of few leaves, in milliseconds; those written before a connection wait for nobody. */
const GATHER_MS: readonly number[] = [0, 1000, 10_000, 60_000];
/** What streams other than safety get of the line when all have something to send. */
const SHARES: readonly number[] = [0, 6, 3, 1];
/** Parts of a stream's bytes that go to what is written now while there is back-fill too. */
const LIVE_PART = 0.7;

/** A stream of one start of the daemon. */
interface Lane {
  readonly epoch: string;
  readonly ordinal: number;
  readonly stream: number;
  /** In the log, not acknowledged, not under way. */
  readonly todo: RangeSet;
  contiguous: number;
  /** Acknowledged beyond `contiguous`. */
  readonly beyond: RangeSet;
  /** The newest seq when the connection began: what follows is live. */
  mark: number;
  hi: number;
  /** When the oldest live row that waits was seen. */
  sinceMs: number | undefined;
}

/** A place in the log to read a batch from. */
export interface Next {
  readonly epoch: string;
  readonly ordinal: number;
  readonly stream: number;
  readonly from: number;
  readonly to: number;
  readonly hist: boolean;
}

/** What is known of a stream of one start: what is in the log, and what of it the fleet has. */
export interface Waiting extends Span {
  readonly contiguous: number;
  readonly ranges: readonly SeqRange[];
}

/**
 * What waits to be sent, and in which order: safety first; of the others by their shares; within a stream what is
 * written now beside the oldest of before. Pure: knows no log, no link and no clock of its own.
 */
export class Outgoing {
  readonly #lanes = new Map<string, Lane>();
  readonly #sentBytes = [0, 0, 0, 0];
  readonly #liveBytes = [0, 0, 0, 0];
  readonly #histBytes = [0, 0, 0, 0];

  /** What the log has, at the start and whenever it is asked again. Nothing under way is forgotten. */
  know(waiting: readonly Waiting[]): void {
    for (const one of waiting) {
      const lane = this.#lane(one.epoch, one.ordinal, one.stream);
      const isNew = lane.hi === 0;
      this.#store(lane, one.contiguous, one.ranges);
      this.#grow(lane, one.lo, one.hi);
      if (isNew) lane.mark = one.hi;
    }
  }

  /** The newest seq of a stream of the start that runs. */
  grew(epoch: string, ordinal: number, stream: number, hi: number, nowMs: number): void {
    const lane = this.#lane(epoch, ordinal, stream);
    if (hi <= lane.hi) return;
    this.#grow(lane, lane.hi + 1, hi);
    lane.sinceMs ??= nowMs;
  }

  /** A connection begins: what is there now is back-fill. */
  connected(): void {
    for (const lane of this.#lanes.values()) {
      lane.mark = lane.hi;
      lane.sinceMs = undefined;
    }
  }

  /** The fleet has these. False when it claims what was never there. */
  acknowledged({ epoch, stream, contiguous, ranges }: Position): boolean {
    const lane = this.#lanes.get(`${epoch}/${stream}`);
    if (lane === undefined) return false;
    // Each of them: nobody has to keep them in order.
    if (contiguous > lane.hi || ranges.some(([, to]) => to > lane.hi)) return false;
    this.#store(lane, contiguous, ranges);
    return true;
  }

  /** Rows that will never be stored, or that are not in the log any more. */
  settled(epoch: string, stream: number, from: number, to: number): void {
    const lane = this.#lanes.get(`${epoch}/${stream}`);
    if (lane !== undefined) this.#store(lane, lane.contiguous, [[from, to]]);
  }

  /** What of these rows was sent and is not acknowledged. */
  underWay(epoch: string, stream: number, from: number, to: number): readonly SeqRange[] {
    const lane = this.#lanes.get(`${epoch}/${stream}`);
    if (lane === undefined) return [];
    const rows = new RangeSet([[Math.max(from, lane.contiguous + 1), Math.min(to, lane.hi)]]);
    for (const set of [lane.beyond, lane.todo]) for (const [a, b] of set.list()) rows.remove(a, b);
    return rows.list();
  }

  /** Under way: not to be sent again until `returned`. */
  took(next: Next, lo: number, hi: number, bytes: number): void {
    const lane = this.#lane(next.epoch, next.ordinal, next.stream);
    lane.todo.remove(lo, hi);
    this.#sentBytes[next.stream] = (this.#sentBytes[next.stream] ?? 0) + bytes;
    const side = next.hist ? this.#histBytes : this.#liveBytes;
    side[next.stream] = (side[next.stream] ?? 0) + bytes;
    if (!next.hist && lane.todo.from(lane.mark + 1) === undefined) lane.sinceMs = undefined;
  }

  /** No answer came: what of it is not acknowledged meanwhile waits again. */
  returned(epoch: string, ordinal: number, stream: number, lo: number, hi: number): void {
    const lane = this.#lane(epoch, ordinal, stream);
    lane.todo.add(Math.max(lo, lane.contiguous + 1), hi);
    for (const [from, to] of lane.beyond.list()) lane.todo.remove(from, to);
  }

  /** Where to read the next batch of at most `mostRows`; undefined: nothing is due. `onlySafety`: the others may not. */
  next(nowMs: number, mostRows: number, onlySafety = false): Next | undefined {
    const safety = this.#ofStream(streams.safety, nowMs, mostRows);
    if (safety !== undefined || onlySafety) return safety;
    const due: { next: Next; credit: number }[] = [];
    for (const stream of [streams.decisions, streams.quiet, streams.telemetry]) {
      const next = this.#ofStream(stream, nowMs, mostRows);
      if (next !== undefined) due.push({ next, credit: (this.#sentBytes[stream] ?? 0) / (SHARES[stream] ?? 1) });
      // Who has nothing to send saves nothing up.
      else this.#sentBytes[stream] = Math.max(this.#sentBytes[stream] ?? 0, this.#least(stream));
    }
    due.sort((one, other) => one.credit - other.credit);
    return due[0]?.next;
  }

  /** When something will be due that only waits for others to gather with it; undefined: nothing waits. */
  dueAtMs(): number | undefined {
    let due: number | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.sinceMs === undefined) continue;
      due = Math.min(due ?? Number.POSITIVE_INFINITY, lane.sinceMs + (GATHER_MS[lane.stream] ?? 0));
    }
    return due;
  }

  /** What of each stream is not acknowledged, the newest start first. */
  spans(): Span[] {
    const spans: Span[] = [];
    for (const { epoch, ordinal, stream, contiguous, hi } of this.#lanes.values())
      if (contiguous < hi) spans.push({ epoch, ordinal, stream, lo: contiguous + 1, hi });
    return spans.sort((one, other) => other.ordinal - one.ordinal || one.stream - other.stream);
  }

  position(epoch: string, stream: number): Position | undefined {
    const lane = this.#lanes.get(`${epoch}/${stream}`);
    return lane === undefined
      ? undefined
      : {
          epoch,
          stream,
          contiguous: lane.contiguous,
          ranges: lane.beyond.list().map(([a, b]): [number, number] => [a, b]),
        };
  }

  ordinalOf(epoch: string, stream: number): number | undefined {
    return this.#lanes.get(`${epoch}/${stream}`)?.ordinal;
  }

  /** The fleet asks for these, whatever it said before; those that are under way come anyway. */
  wanted(epoch: string, stream: number, from: number, to: number): void {
    const lane = this.#lanes.get(`${epoch}/${stream}`);
    const last = Math.min(to, lane?.hi ?? 0);
    if (lane === undefined || last < from) return;
    const { contiguous } = lane;
    if (from <= contiguous) {
      lane.contiguous = from - 1;
      lane.beyond.add(last + 1, contiguous);
    }
    lane.beyond.remove(from, last);
    lane.todo.add(from, last);
  }

  /** Rows that the fleet does not have. */
  backlogRows(): number {
    let rows = 0;
    for (const { contiguous, hi, beyond } of this.#lanes.values()) rows += hi - contiguous - beyond.size;
    return rows;
  }

  #ofStream(stream: number, nowMs: number, mostRows: number): Next | undefined {
    const live = this.#live(stream, nowMs, mostRows);
    const hist = this.#oldest(stream, mostRows);
    if (live === undefined || hist === undefined) return live ?? hist;
    const [liveBytes = 0, histBytes = 0] = [this.#liveBytes[stream], this.#histBytes[stream]];
    return liveBytes * (1 - LIVE_PART) <= histBytes * LIVE_PART ? live : hist;
  }

  #live(stream: number, nowMs: number, mostRows: number): Next | undefined {
    for (const lane of this.#lanes.values()) {
      if (lane.stream !== stream || lane.hi <= lane.mark) continue;
      const range = lane.todo.from(lane.mark + 1);
      if (range === undefined) continue;
      const rows = Math.min(mostRows, range[1] - range[0] + 1);
      const isDue = rows >= mostRows || nowMs - (lane.sinceMs ?? 0) >= (GATHER_MS[stream] ?? 0);
      if (isDue) return nextOf(lane, range, rows, false);
    }
    return undefined;
  }

  #oldest(stream: number, mostRows: number): Next | undefined {
    let oldest: Lane | undefined;
    let found: SeqRange | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.stream !== stream || (oldest !== undefined && oldest.ordinal <= lane.ordinal)) continue;
      const range = lane.todo.from(1);
      if (range === undefined || range[0] > lane.mark) continue;
      oldest = lane;
      found = [range[0], Math.min(range[1], lane.mark)];
    }
    if (oldest === undefined || found === undefined) return undefined;
    return nextOf(oldest, found, Math.min(mostRows, found[1] - found[0] + 1), true);
  }

  #least(but: number): number {
    const others = [1, 2, 3].filter((stream) => stream !== but);
    return Math.min(...others.map((one) => (this.#sentBytes[one] ?? 0) / (SHARES[one] ?? 1))) * (SHARES[but] ?? 1);
  }

  #lane(epoch: string, ordinal: number, stream: number): Lane {
    const name = `${epoch}/${stream}`;
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane: Lane = {
      ...{ epoch, ordinal, stream, todo: new RangeSet(), beyond: new RangeSet() },
      ...{ contiguous: 0, mark: 0, hi: 0, sinceMs: undefined },
    };
    this.#lanes.set(name, lane);
    return lane;
  }

  #grow(lane: Lane, lo: number, hi: number): void {
    const from = Math.max(lo, lane.hi + 1, lane.contiguous + 1);
    // What lies before the first row that is still there went with a drop record, which is sent too.
    if (lane.hi === 0 && lo > 1) this.#store(lane, lo - 1, []);
    lane.hi = Math.max(lane.hi, hi);
    lane.todo.add(from, hi);
    for (const [a, b] of lane.beyond.list()) lane.todo.remove(a, b);
  }

  #store(lane: Lane, contiguous: number, ranges: readonly SeqRange[]): void {
    const { beyond, todo } = lane;
    for (const [from, to] of ranges) beyond.add(from, to);
    lane.contiguous = Math.max(lane.contiguous, contiguous);
    const next = beyond.from(lane.contiguous + 1);
    if (next !== undefined && next[0] === lane.contiguous + 1) lane.contiguous = next[1];
    beyond.remove(1, lane.contiguous);
    todo.remove(1, lane.contiguous);
    for (const [from, to] of beyond.list()) todo.remove(from, to);
    if (todo.from(lane.mark + 1) === undefined) lane.sinceMs = undefined;
  }
}

function nextOf({ epoch, ordinal, stream }: Lane, [from]: SeqRange, rows: number, hist: boolean): Next {
  return { epoch, ordinal, stream, from, to: from + rows - 1, hist };
}
