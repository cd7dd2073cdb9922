import type { Finding } from "./damage.ts";
import type { StreamEvidence } from "./evidence.ts";
import { firstChain, nextChain } from "./heads.ts";
import type { LogRow, LogSource, LogStart } from "./log-source.ts";
import { wrongIn } from "./row-check.ts";

/** One (epoch, stream), row by row: what is expected next, and the chain so far. Ends at the first row that is bad. */
export class StreamWalk {
  readonly #epoch: number;
  readonly #stream: number;
  readonly #evidence: StreamEvidence;
  readonly #source: Pick<LogSource, "agents" | "find">;
  isOver = false;
  seq = 0;
  dropped = 0;
  #chain: Buffer | undefined = firstChain();
  #n: number;
  #headAt = 0;
  #dropAt = 0;
  /** The last seq whose chain value was found right, and the number of the row after it. */
  #goodSeq = 0;
  #suspectN: number | undefined;
  #lastId = "";
  #disorder: { seq: number; n: number } | undefined;

  /** `afterN`: the row of the log after which this stream can begin. */
  constructor(
    place: { readonly epoch: number; readonly stream: number; readonly afterN: number },
    evidence: StreamEvidence,
    source: Pick<LogSource, "agents" | "find">,
    start?: LogStart,
  ) {
    this.#epoch = place.epoch;
    this.#stream = place.stream;
    this.#n = place.afterN;
    this.#evidence = evidence;
    this.#source = source;
    if (start !== undefined) {
      this.seq = start.seq;
      this.#goodSeq = start.seq;
      this.#chain = start.chain === null ? undefined : Buffer.from(start.chain, "hex");
    }
  }

  row(row: LogRow): Finding | undefined {
    if (!Number.isSafeInteger(row.seq) || row.seq < 1)
      return this.#bad("edited", this.seq + 1, row.n, "its place in the stream is none");
    const before = this.#passHoles(row.seq - 1) ?? this.#passHeads(this.seq);
    if (before !== undefined) return before;
    if (this.#isAnnounced(row.seq)) return this.#stillThere(row);
    const misplaced = this.#placeOf(row);
    if (misplaced !== undefined) return misplaced;
    const final = this.#evidence.finalSeq;
    if (final !== undefined && row.seq > final)
      return this.#bad("inserted", row.seq, row.n, `the epoch was closed at ${final}`);
    const wrong = wrongIn(row, this.#source.agents);
    if (wrong !== undefined) return this.#bad("edited", row.seq, row.n, wrong);
    this.#follow(row);
    return this.#passHeads(this.seq);
  }

  end(): Finding | undefined {
    const last = Math.max(this.#evidence.heads.at(-1)?.seq ?? 0, this.#evidence.finalSeq ?? 0);
    const hole = this.#passHoles(Number.MAX_SAFE_INTEGER);
    if (hole !== undefined) return hole;
    if (this.seq >= last) return this.#passHeads(this.seq);
    const detail = `a chain head names row ${last}, and the stream ends at ${this.seq}`;
    return this.#bad("truncated", this.seq + 1, undefined, detail);
  }

  unattested(): number {
    return Math.max(0, this.seq - this.#goodSeq);
  }

  /** The next row of the stream is this one, or else it was moved, or the one that should be here was. */
  #placeOf(row: LogRow): Finding | undefined {
    const expected = this.seq + 1;
    if (row.seq === expected) return undefined;
    if (row.seq < expected) return this.#bad("reordered", row.seq, row.n, `it comes after row ${this.seq}`);
    const elsewhere = this.#source.find(this.#epoch, this.#stream, expected);
    if (elsewhere === undefined)
      return this.#bad("missing", expected, undefined, `rows ${expected} to ${row.seq - 1} are not there`);
    const detail = `row ${row.seq} of its stream comes before it, at n ${row.n}`;
    return { ...this.#bad("reordered", expected, elsewhere, detail), near: this.#n + 1 };
  }

  /** Retention announces a range before it deletes it: until then its rows are there, all or some. */
  #isAnnounced(seq: number): boolean {
    const drop = this.#evidence.drops[this.#dropAt];
    return drop !== undefined && drop.from <= this.seq + 1 && seq > this.seq && seq <= drop.to;
  }

  #stillThere(row: LogRow): Finding | undefined {
    this.#n = row.n;
    const wrong = wrongIn(row, this.#source.agents);
    return wrong === undefined ? undefined : this.#bad("edited", row.seq, row.n, wrong);
  }

  #follow(row: LogRow): void {
    const id = Buffer.isBuffer(row.id) ? row.id.toString("hex", 0, 6) : "";
    if (id < this.#lastId) this.#disorder ??= { seq: row.seq, n: row.n };
    this.#lastId = id;
    this.#suspectN ??= row.n;
    if (this.#chain !== undefined) this.#chain = nextChain(this.#chain, row.hash as Buffer);
    this.seq = row.seq;
    this.#n = row.n;
  }

  /** Goes over what a drop record says was removed, when it begins right here and ends before the next row. */
  #passHoles(upTo: number): Finding | undefined {
    for (;;) {
      const drop = this.#evidence.drops[this.#dropAt];
      if (drop === undefined || drop.to > Math.max(upTo, this.seq)) return undefined;
      if (drop.from > this.seq + 1) return undefined;
      this.#dropAt += 1;
      if (drop.to <= this.seq) continue;
      const before = this.#chain?.toString("hex");
      if (before !== undefined && drop.chainBefore !== null && drop.chainBefore !== before) return this.#broken();
      this.#chain = drop.chainAfter === null ? undefined : Buffer.from(drop.chainAfter, "hex");
      this.dropped += drop.to - drop.from + 1;
      this.seq = drop.to;
      this.#settle();
    }
  }

  /** Compares the chain with every value that was written down for this seq. */
  #passHeads(seq: number): Finding | undefined {
    for (;;) {
      const head = this.#evidence.heads[this.#headAt];
      if (head === undefined || head.seq > seq) return undefined;
      this.#headAt += 1;
      if (head.seq < seq || head.chain === undefined) continue;
      const chain = this.#chain?.toString("hex");
      if (chain !== undefined && chain !== head.chain) return this.#broken();
      this.#chain = Buffer.from(head.chain, "hex");
      this.#settle();
    }
  }

  #settle(): void {
    this.#goodSeq = this.seq;
    this.#suspectN = undefined;
    this.#disorder = undefined;
  }

  /** Each row fits its own hash, and yet the chain is another: rows were exchanged, or rewritten with their hash. */
  #broken(): Finding {
    const what = this.#disorder === undefined ? "edited" : "reordered";
    const where = this.#disorder === undefined ? "" : `, and row ${this.#disorder.seq} is older than one before it`;
    const detail = `the chain value written down for row ${this.seq} is another${where}`;
    const bad = this.#bad(what, this.#goodSeq + 1, this.#suspectN, detail);
    return { ...bad, near: this.#suspectN ?? this.#n, toSeq: this.seq };
  }

  #bad(what: Finding["what"], seq: number, n: number | undefined, detail: string): Finding {
    this.isOver = true;
    const near = n ?? this.#n + 1;
    return { what, epoch: this.#epoch, stream: this.#stream, seq, toSeq: undefined, n, detail, near };
  }
}
