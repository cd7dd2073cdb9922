import type { Finding } from "./damage.ts";
import type { StreamEvidence, ToldDrop } from "./evidence.ts";
import { firstChain, nextChain } from "./heads.ts";
import type { LogRow, LogSource, LogStart } from "./log-source.ts";
import { isHash, type Wrong, wrongIn } from "./row-check.ts";

/** Rows of a stream for which no chain value vouches: one in between is missing, or the value is another. */
interface Unsound {
  readonly from: number;
  readonly to: number;
}

/** One (epoch, stream), row by row: what is expected next, and the chain so far. Tells the first that is bad, and goes on. */
export class StreamWalk {
  readonly #epoch: number;
  readonly #stream: number;
  readonly #evidence: StreamEvidence;
  readonly #source: Pick<LogSource, "agents" | "find">;
  isBad = false;
  dropped = 0;
  /** What it went over, and after which row of the log. */
  readonly holes: { readonly drop: ToldDrop; readonly near: number }[] = [];
  readonly #unsound: Unsound[] = [];
  #isUnsound = false;
  #startSeq = 0;
  #seq = 0;
  #chain: Buffer | undefined = firstChain();
  #n: number;
  #headAt = 0;
  #dropAt = 0;
  /** The last seq whose chain value was found right, and the number of the row after it. */
  #goodSeq = 0;
  #suspectN: number | undefined;
  #lastId = "";
  #disorder: number | undefined;

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
    if (start === undefined) return;
    this.#startSeq = start.seq;
    this.#seq = start.seq;
    this.#goodSeq = start.seq;
    this.#chain = start.chain === null ? undefined : Buffer.from(start.chain, "hex");
  }

  row(row: LogRow): Finding | undefined {
    return this.#first(this.#row(row));
  }

  end(): Finding | undefined {
    const last = Math.max(this.#evidence.heads.at(-1)?.seq ?? 0, this.#evidence.finalSeq ?? 0);
    const hole = this.#passHoles(Number.MAX_SAFE_INTEGER);
    if (hole !== undefined) return this.#first(hole);
    if (this.#seq >= last) return this.#first(this.#passHeads());
    const detail = `a chain head names row ${last}, and the stream ends at ${this.#seq}`;
    return this.#first(this.#bad("truncated", this.#seq + 1, undefined, detail));
  }

  /** Whether the chain vouches for this row. */
  isSound(seq: number): boolean {
    if (seq > this.#goodSeq && (this.#isUnsound || this.isBad)) return false;
    return !this.#unsound.some(({ from, to }) => from <= seq && seq <= to);
  }

  unattested(): number {
    return this.isBad ? 0 : Math.max(0, this.#seq - this.#goodSeq);
  }

  #first(finding: Finding | undefined): Finding | undefined {
    if (finding === undefined || this.isBad) return undefined;
    this.isBad = true;
    return finding;
  }

  #row(row: LogRow): Finding | undefined {
    if (!Number.isSafeInteger(row.seq) || row.seq < 1)
      return this.#bad("edited", this.#seq + 1, row.n, "its place in the stream is none");
    const before = this.#passHoles(row.seq - 1) ?? this.#passHeads();
    if (before !== undefined) return before;
    if (row.seq !== this.#seq + 1 && this.#isAnnounced(row.seq)) return this.#stillThere(row);
    const final = this.#evidence.finalSeq;
    if (final !== undefined && row.seq > final)
      return this.#bad("inserted", row.seq, row.n, `the epoch was closed at ${final}`);
    const misplaced = this.#misplaced(row);
    if (misplaced !== undefined && row.seq <= this.#seq) return misplaced;
    const wrong = wrongIn(row, this.#source.agents);
    const bad = misplaced ?? (wrong === undefined ? undefined : this.#wrong(row, wrong));
    this.#follow(row, misplaced !== undefined);
    return bad ?? this.#passHeads();
  }

  /** The next row of the stream is this one, or else it was moved, or the one that should be here was. */
  #misplaced(row: LogRow): Finding | undefined {
    const expected = this.#seq + 1;
    if (row.seq === expected) return undefined;
    if (row.seq < expected) return this.#bad("reordered", row.seq, row.n, `it comes after row ${this.#seq}`);
    const elsewhere = this.#source.find(this.#epoch, this.#stream, expected);
    if (elsewhere === undefined)
      return this.#bad("missing", expected, undefined, `rows ${expected} to ${row.seq - 1} are not there`);
    const detail = `row ${row.seq} of its stream comes before it, at n ${row.n}`;
    return { ...this.#bad("reordered", expected, elsewhere, detail), near: this.#n + 1 };
  }

  /** Retention announces a range before it deletes it, from its beginning: when some are gone, the chain is too. */
  #isAnnounced(seq: number): boolean {
    const drop = this.#evidence.drops[this.#dropAt];
    return drop !== undefined && drop.from <= this.#seq + 1 && seq > this.#seq && seq <= drop.to;
  }

  #stillThere(row: LogRow): Finding | undefined {
    this.#n = row.n;
    const wrong = wrongIn(row, this.#source.agents);
    return wrong === undefined ? undefined : this.#bad("edited", row.seq, row.n, wrong.detail);
  }

  /** A row that is whole and stands elsewhere tells that some were put in before it, or are missing. */
  #wrong(row: LogRow, { detail, writtenAs }: Wrong): Finding {
    if (writtenAs === undefined || this.#stream !== 0) return this.#bad("edited", row.seq, row.n, detail);
    this.#isUnsound = true;
    const from = this.#suspectN ?? row.n;
    const bad = this.#bad(writtenAs < row.seq ? "inserted" : "missing", this.#goodSeq + 1, from, detail);
    return { ...bad, toSeq: row.seq };
  }

  #follow(row: LogRow, isAfterGap: boolean): void {
    const id = Buffer.isBuffer(row.id) ? row.id.toString("hex", 0, 6) : "";
    if (id < this.#lastId) this.#disorder ??= row.seq;
    this.#lastId = id;
    this.#suspectN ??= row.n;
    if (isAfterGap || !isHash(row.hash)) this.#lose();
    else if (this.#chain !== undefined) this.#chain = nextChain(this.#chain, row.hash);
    this.#seq = row.seq;
    this.#n = row.n;
  }

  /** From here on the chain is not known, until a head tells it again. */
  #lose(): void {
    this.#chain = undefined;
    this.#isUnsound = true;
  }

  /** Goes over what a drop record says was removed, when it begins right here and ends before the next row. */
  #passHoles(upTo: number): Finding | undefined {
    for (;;) {
      const drop = this.#evidence.drops[this.#dropAt];
      if (drop === undefined || drop.to > Math.max(upTo, this.#seq)) return undefined;
      if (drop.from > this.#seq + 1) return undefined;
      this.#dropAt += 1;
      this.dropped += Math.max(0, drop.to - Math.max(drop.from - 1, this.#startSeq));
      if (drop.to <= this.#seq) continue;
      const before = drop.from === this.#seq + 1 ? this.#chain?.toString("hex") : undefined;
      const isOther = before !== undefined && drop.chainBefore !== null && drop.chainBefore !== before;
      const broken = isOther ? this.#broken() : undefined;
      this.#chain = drop.chainAfter === null ? undefined : Buffer.from(drop.chainAfter, "hex");
      this.holes.push({ drop, near: this.#n + 1 });
      this.#seq = drop.to;
      this.#settle();
      if (broken !== undefined) return broken;
    }
  }

  /** Compares the chain with every value that was written down for the row that was reached. */
  #passHeads(): Finding | undefined {
    for (;;) {
      const head = this.#evidence.heads[this.#headAt];
      if (head === undefined || head.seq > this.#seq) return undefined;
      this.#headAt += 1;
      if (head.seq < this.#seq || head.chain === undefined) continue;
      const chain = this.#chain?.toString("hex");
      const broken = chain !== undefined && chain !== head.chain ? this.#broken() : undefined;
      this.#chain = Buffer.from(head.chain, "hex");
      this.#settle();
      if (broken !== undefined) return broken;
    }
  }

  #settle(): void {
    if (this.#isUnsound) this.#unsound.push({ from: this.#goodSeq + 1, to: this.#seq });
    this.#isUnsound = false;
    this.#goodSeq = this.#seq;
    this.#suspectN = undefined;
    this.#disorder = undefined;
  }

  /** Each row fits its own hash, and yet the chain is another: rows were exchanged, or rewritten with their hash. */
  #broken(): Finding {
    this.#isUnsound = true;
    const what = this.#disorder === undefined ? "edited" : "reordered";
    const where = this.#disorder === undefined ? "" : `, and row ${this.#disorder} is older than one before it`;
    const detail = `the chain value written down for row ${this.#seq} is another${where}`;
    const bad = this.#bad(what, this.#goodSeq + 1, this.#suspectN, detail);
    return { ...bad, near: this.#suspectN ?? this.#n, toSeq: this.#seq };
  }

  #bad(what: Finding["what"], seq: number, n: number | undefined, detail: string): Finding {
    const near = n ?? this.#n + 1;
    return { what, epoch: this.#epoch, stream: this.#stream, seq, toSeq: undefined, n, detail, near };
  }
}
