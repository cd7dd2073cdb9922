import type { StreamHead } from "../../sync/records.ts";
import type { Finding } from "./damage.ts";
import type { Evidence } from "./evidence.ts";
import { placesDigest } from "./heads.ts";
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
  /** By stream: the last seq that a head told, and the places of the rows since. None where rows begin in the middle. */
  #seqs: Map<number, number> | undefined;
  #places = new Map<number, number[]>();

  constructor(evidence: Evidence, epochs: readonly LogEpoch[]) {
    this.#evidence = evidence;
    this.#reasons = new Map(epochs.map((epoch) => [epoch.ordinal, epoch.reason]));
  }

  get lastN(): number {
    return this.#lastN;
  }

  /** `isSound`: nothing was found in the streams of its start so far, so heads and their sums can be relied on. `isTold`: of this row it is told already. */
  row(row: LogRow, isSound: boolean, isTold: boolean): Finding | undefined {
    if (row.n <= this.#lastN) return this.#bad(row, "reordered", row.n, `its number is not after ${this.#lastN}`);
    if (this.#epoch !== undefined && row.epoch < this.#epoch) {
      this.#lastN = row.n;
      if (isTold) return undefined;
      // Where it lay in its own start, nobody knows.
      const near = this.#evidence.starts.get(row.epoch)?.n ?? 1;
      return { ...this.#bad(row, "reordered", row.n, "it lies among rows of a later start"), near };
    }
    const gap = row.epoch === this.#epoch ? this.#gap(row) : this.#begin(row);
    this.#lastN = row.n;
    const moved = this.#head(row, isSound);
    this.#place(row);
    return gap ?? moved;
  }

  #begin(row: LogRow): Finding | undefined {
    const before = this.#epoch === undefined ? undefined : this.#evidence.totals.get(this.#epoch);
    const expected = before === undefined || this.#startN === undefined ? undefined : this.#startN + before;
    const start = this.#evidence.starts.get(row.epoch)?.n;
    this.#epoch = row.epoch;
    this.#startN = start;
    this.#slack = this.#evidence.wasSalvaged(row.epoch) ? undefined : this.#evidence.dropped(row.epoch);
    this.#seqs = start === row.n ? new Map() : undefined;
    this.#places = new Map();
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
    // Where rows were dropped, an earlier gap may have been taken for theirs: since the last head nothing is certain.
    const from = this.#evidence.dropped(row.epoch) === 0 ? this.#lastN + 1 : this.#fromN;
    return this.#bad(row, "missing", from, `rows n ${this.#lastN + 1} to ${row.n - 1} are not there`);
  }

  #head(row: LogRow, isSound: boolean): Finding | undefined {
    const claim = this.#evidence.heads.get(row.n);
    if (claim === undefined) return undefined;
    const { seqs, places, from } = { seqs: this.#seqs, places: this.#places, from: this.#fromN };
    this.#seqs = new Map(claim.heads.map(({ stream, seq }) => [stream, seq]));
    this.#places = new Map();
    this.#fromN = row.n;
    if (!isSound || this.#slack === undefined || this.#startN === undefined) return undefined;
    const place = row.n - this.#startN;
    if (place !== claim.rows)
      return this.#bad(
        row,
        "reordered",
        from,
        `${claim.rows} rows of its start came before it, and its place is ${place}`,
      );
    const other = claim.heads.find(
      (head) => seqs !== undefined && this.#isElsewhere(row.epoch, head, seqs.get(head.stream) ?? 0, places),
    );
    if (other === undefined) return undefined;
    return this.#bad(row, "reordered", from, `rows n ${from} to ${row.n - 1} lay in another order among all streams`);
  }

  /** Where rows of the stream were dropped since the last head, the places of those that are left are not known any more. */
  #isElsewhere(
    epoch: number,
    { stream, seq, places: told }: StreamHead,
    from: number,
    places: ReadonlyMap<number, readonly number[]>,
  ): boolean {
    if (this.#evidence.of(epoch, stream).drops.some((drop) => drop.to > from)) return false;
    const found = places.get(stream) ?? [];
    return seq - from !== found.length || (told !== undefined && placesDigest(found) !== told);
  }

  #place({ n, stream }: LogRow): void {
    if (this.#startN === undefined) return;
    const places = this.#places.get(stream);
    if (places === undefined) this.#places.set(stream, [n - this.#startN]);
    else places.push(n - this.#startN);
  }

  #bad(row: LogRow, what: Finding["what"], n: number, detail: string): Finding {
    const { epoch, stream, seq } = row;
    // What a stream says itself is more exact.
    return { what, epoch, stream, seq, toSeq: undefined, n, detail, near: n + 0.5, upTo: row.n };
  }
}
