import type { Finding } from "./damage.ts";
import type { Evidence } from "./evidence.ts";
import { orderOf } from "./heads.ts";
import type { LogEpoch, LogRow } from "./log-source.ts";

/** After such a start the log goes on with the next number; after others it may have lost some. */
const SEAMLESS: ReadonlySet<string> = new Set(["clean", "crash", "bootChanged"]);

/**
 * The numbers of the rows, over all streams: without a gap but for dropped rows, and in the order that the heads tell.
 * Each head also says by its sum how many rows came before it.
 */
export class RowOrder {
  readonly #evidence: Evidence;
  readonly #reasons: ReadonlyMap<number, string>;
  #epoch: number | undefined;
  #lastN = 0;
  /** The number of the epoch's first record, and of the first row since the last head. */
  #startN: number | undefined;
  #fromN = 0;
  /** Rows that may be missing still; undefined when it is not known, and nothing is looked at. */
  #slack: number | undefined;
  /** Rows of the epoch up to the last head; undefined while no head was seen in rows that begin in the middle. */
  #rows: number | undefined;
  #streams: number[] = [];

  constructor(evidence: Evidence, epochs: readonly LogEpoch[]) {
    this.#evidence = evidence;
    this.#reasons = new Map(epochs.map((epoch) => [epoch.ordinal, epoch.reason]));
  }

  get lastN(): number {
    return this.#lastN;
  }

  /** `isSound`: nothing was found in the streams of its start so far, so heads and their sums can be relied on. */
  row(row: LogRow, isSound: boolean): Finding | undefined {
    if (this.#epoch !== undefined && row.epoch < this.#epoch)
      return this.#bad(row, "reordered", row.n, "it lies among rows of a later start");
    const gap = row.epoch === this.#epoch ? this.#gap(row) : this.#begin(row);
    this.#lastN = row.n;
    const moved = this.#head(row, isSound);
    this.#streams.push(row.stream);
    return gap ?? moved;
  }

  #begin(row: LogRow): Finding | undefined {
    const before = this.#epoch === undefined ? undefined : this.#evidence.totals.get(this.#epoch);
    const expected = before === undefined || this.#startN === undefined ? undefined : this.#startN + before;
    const start = this.#evidence.starts.get(row.epoch)?.n;
    this.#epoch = row.epoch;
    this.#startN = start;
    this.#slack = this.#evidence.wasSalvaged(row.epoch) ? undefined : this.#evidence.dropped(row.epoch);
    this.#rows = start === row.n ? 0 : undefined;
    this.#streams = [];
    this.#fromN = row.n;
    if (expected === undefined || row.n === expected || !SEAMLESS.has(this.#reasons.get(row.epoch) ?? ""))
      return undefined;
    return this.#bad(
      row,
      "missing",
      Math.min(expected, row.n),
      `a start begins at n ${row.n}, and the one before ended at ${expected - 1}`,
    );
  }

  #gap(row: LogRow): Finding | undefined {
    const gap = row.n - this.#lastN - 1;
    if (gap === 0 || this.#slack === undefined) return undefined;
    this.#slack -= gap;
    if (this.#slack >= 0) return undefined;
    this.#slack = undefined;
    return this.#bad(row, "missing", this.#lastN + 1, `rows n ${this.#lastN + 1} to ${row.n - 1} are not there`);
  }

  #head(row: LogRow, isSound: boolean): Finding | undefined {
    const claim = this.#evidence.heads.get(row.n);
    if (claim === undefined) return undefined;
    const since = this.#rows === undefined ? undefined : claim.rows - this.#rows;
    const streams = Uint8Array.from(this.#streams);
    const from = this.#fromN;
    this.#rows = claim.rows;
    this.#streams = [];
    this.#fromN = row.n;
    if (!isSound || this.#slack === undefined) return undefined;
    if (this.#startN !== undefined && row.n - this.#startN !== claim.rows)
      return this.#bad(
        row,
        "reordered",
        from,
        `${claim.rows} rows of this start come before it, and its number is ${row.n - this.#startN} on`,
      );
    // Where rows were dropped in between, their places are not known any more.
    if (claim.order === undefined || since !== streams.length || orderOf(streams) === claim.order) return undefined;
    return this.#bad(row, "reordered", from, `rows n ${from} to ${row.n - 1} came in another order`);
  }

  #bad(row: LogRow, what: Finding["what"], n: number, detail: string): Finding {
    const { epoch, stream, seq } = row;
    // What a stream says itself is more exact, and comes first.
    return { what, epoch, stream, seq, toSeq: undefined, n, detail, near: n + 0.5 };
  }
}
