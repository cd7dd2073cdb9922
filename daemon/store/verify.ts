import { join } from "node:path";
import { kindName, recordKinds } from "../../sync/kinds.ts";
import type { StreamHead } from "../../sync/records.ts";
import { type Evidence, evidenceFor, readEvidence } from "./evidence.ts";
import { bodyHash, firstChain, nextChain } from "./heads.ts";
import { readPosition } from "./position.ts";
import { recordsSchema } from "./schema.ts";
import { openForReading, type ReadDatabase, type ReadStatement } from "./sqlite-reader.ts";

const PAGE_ROWS = 500;
const STREAMS = [0, 1, 2, 3] as const;

export type Damage = "edited" | "missing" | "inserted" | "reordered" | "truncated";

/** The first row of a stream that is not as it was written. */
export interface BadRow {
  readonly what: Damage;
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  /** Set when only the chain is broken: the damage lies somewhere from `seq` to here. */
  readonly toSeq: number | undefined;
  /** The row's number in the log; undefined for a row that is not there. */
  readonly n: number | undefined;
  readonly detail: string;
}

export interface VerifyResult {
  readonly ok: boolean;
  readonly rows: number;
  readonly epochs: number;
  readonly droppedRows: number;
  /** Rows after the last chain head that was written down: their hashes fit, but nothing vouches for their number. */
  readonly unattested: number;
  readonly bad: BadRow | undefined;
}

export interface VerifyOptions {
  readonly directory: string;
  readonly progress?: ((done: number, total: number) => void) | undefined;
}

interface Row {
  readonly n: number;
  readonly seq: number;
  readonly id: Buffer;
  readonly kind: number;
  readonly agent: number;
  readonly body: string;
  readonly hash: Buffer;
}

/** Recomputes every hash and every chain from the rows, on a log that runs or does not. */
export function verifyLog(options: VerifyOptions): VerifyResult {
  const database = openForReading(join(options.directory, "records.db"), recordsSchema);
  try {
    return new Verification(database, options).run();
  } finally {
    database.close();
  }
}

class Verification {
  readonly #database: ReadDatabase;
  readonly #options: VerifyOptions;
  readonly #page: ReadStatement;
  readonly #agents: Map<number, string>;
  readonly #lastN: number;
  readonly #bad: BadRow[] = [];
  #rows = 0;
  #dropped = 0;
  #unattested = 0;

  constructor(database: ReadDatabase, options: VerifyOptions) {
    this.#database = database;
    this.#options = options;
    // A log that runs goes on growing: what was there at the beginning is what is verified.
    this.#lastN = (database.prepare("SELECT max(n) FROM record").pluck().get() as number | null) ?? 0;
    this.#page = database.prepare(
      `SELECT n, seq, id, kind, agent, body, hash FROM record
       WHERE epoch = ? AND stream = ? AND seq > ? AND n <= ${this.#lastN} ORDER BY seq LIMIT ${PAGE_ROWS}`,
    );
    const agents = database.prepare("SELECT number, name FROM agent").raw().all() as [number, string][];
    this.#agents = new Map(agents);
  }

  run(): VerifyResult {
    const epochs = this.#database.prepare("SELECT ordinal FROM epoch ORDER BY ordinal").pluck().all() as number[];
    const all = readEvidence(this.#database, epochs);
    for (const epoch of epochs) {
      for (const stream of STREAMS) this.#stream(epoch, stream, evidenceFor(all, epoch, stream));
    }
    this.#strangers(epochs);
    this.#tail(epochs.at(-1));
    const [first] = this.#bad.sort((a, b) => (a.n ?? Number.MAX_SAFE_INTEGER) - (b.n ?? Number.MAX_SAFE_INTEGER));
    const figures = {
      rows: this.#rows,
      epochs: epochs.length,
      droppedRows: this.#dropped,
      unattested: this.#unattested,
    };
    return { ok: first === undefined, ...figures, bad: first };
  }

  #stream(epoch: number, stream: number, evidence: Evidence): void {
    const walk = new StreamWalk(epoch, stream, evidence, this.#agents);
    let cursor = 0;
    for (;;) {
      const rows = this.#page.all(epoch, stream, cursor) as Row[];
      for (const row of rows) {
        const bad = walk.row(row);
        if (bad === undefined) continue;
        this.#bad.push(bad);
        return;
      }
      cursor = rows.at(-1)?.seq ?? cursor;
      this.#rows += rows.length;
      this.#options.progress?.(this.#rows, this.#lastN);
      if (rows.length < PAGE_ROWS) break;
    }
    const bad = walk.end();
    if (bad !== undefined) this.#bad.push(bad);
    this.#dropped += walk.dropped;
    this.#unattested += walk.unattested();
  }

  /** Rows of epochs or streams that never were. */
  #strangers(epochs: readonly number[]): void {
    const known = new Set(epochs);
    const nextEpoch = this.#database.prepare("SELECT min(epoch) FROM record WHERE epoch > ?").pluck();
    const other = this.#database.prepare(
      "SELECT n, stream, seq FROM record WHERE epoch = ? AND (stream < 0 OR stream > 3) LIMIT 1",
    );
    const first = this.#database.prepare(
      "SELECT n, stream, seq FROM record WHERE epoch = ? ORDER BY stream, seq LIMIT 1",
    );
    for (
      let epoch = nextEpoch.get(-1) as number | null;
      epoch !== null;
      epoch = nextEpoch.get(epoch) as number | null
    ) {
      const row = (known.has(epoch) ? other : first).get(epoch) as
        | { n: number; stream: number; seq: number }
        | undefined;
      if (row === undefined) continue;
      this.#bad.push({
        what: "inserted",
        epoch,
        ...row,
        toSeq: undefined,
        detail: "no such epoch or stream was ever begun",
      });
    }
  }

  /** The very last rows are vouched for by the file beside the database, as far as it goes. */
  #tail(lastEpoch: number | undefined): void {
    const position = readPosition(join(this.#options.directory, "position.json"));
    if (position === undefined || position.ordinal !== lastEpoch || position.n <= this.#lastN) return;
    const detail = `the log had come to row ${position.n}, and ends at row ${this.#lastN}`;
    const row = this.#database.prepare("SELECT epoch, stream, seq FROM record WHERE n = ?").get(this.#lastN);
    const place = (row ?? { epoch: lastEpoch, stream: 0, seq: 0 }) as { epoch: number; stream: number; seq: number };
    this.#bad.push({ what: "truncated", ...place, seq: place.seq + 1, toSeq: undefined, n: undefined, detail });
  }
}

/** One (epoch, stream), row by row: what is expected next, and the chain so far. */
class StreamWalk {
  readonly #epoch: number;
  readonly #stream: number;
  readonly #evidence: Evidence;
  readonly #agents: ReadonlyMap<number, string>;
  seq = 0;
  dropped = 0;
  #chain: Buffer | undefined = firstChain();
  #n = 0;
  #headAt = 0;
  #dropAt = 0;
  /** The last seq whose chain value was found right, and the number of the row after it. */
  #goodSeq = 0;
  #suspectN: number | undefined;
  #lastId = "";
  #disorder: { seq: number; n: number } | undefined;

  constructor(epoch: number, stream: number, evidence: Evidence, agents: ReadonlyMap<number, string>) {
    this.#epoch = epoch;
    this.#stream = stream;
    this.#evidence = evidence;
    this.#agents = agents;
  }

  row(row: Row): BadRow | undefined {
    const before = this.#passHoles(row.seq - 1) ?? this.#passHeads(this.seq);
    if (before !== undefined) return before;
    if (this.#isAnnounced(row.seq)) return undefined;
    if (row.seq !== this.seq + 1) {
      return this.#bad("missing", this.seq + 1, undefined, `rows ${this.seq + 1} to ${row.seq - 1} are not there`);
    }
    const final = this.#evidence.finalSeq;
    if (final !== undefined && row.seq > final) {
      return this.#bad("inserted", row.seq, row.n, `the epoch was closed at ${final}`);
    }
    if (row.n <= this.#n) return this.#bad("reordered", row.seq, row.n, `it comes after row ${this.#n} of its stream`);
    const wrong = this.#contentOf(row);
    if (wrong !== undefined) return this.#bad("edited", row.seq, row.n, wrong);
    this.#follow(row);
    return this.#passHeads(this.seq);
  }

  end(): BadRow | undefined {
    const last = Math.max(this.#evidence.heads.at(-1)?.seq ?? 0, this.#evidence.finalSeq ?? 0);
    const hole = this.#passHoles(Number.MAX_SAFE_INTEGER);
    if (hole !== undefined) return hole;
    if (this.seq >= last) return this.#passHeads(this.seq);
    return this.#bad(
      "truncated",
      this.seq + 1,
      undefined,
      `a chain head names row ${last}, and the stream ends at ${this.seq}`,
    );
  }

  unattested(): number {
    return Math.max(0, this.seq - this.#goodSeq);
  }

  /** Retention announces a range before it deletes it: until then its rows are there, all or some. */
  #isAnnounced(seq: number): boolean {
    const drop = this.#evidence.drops[this.#dropAt];
    return drop !== undefined && drop.from <= this.seq + 1 && seq <= drop.to;
  }

  #follow(row: Row): void {
    const id = row.id.toString("hex", 0, 6);
    if (id < this.#lastId) this.#disorder ??= { seq: row.seq, n: row.n };
    this.#lastId = id;
    this.#suspectN ??= row.n;
    if (this.#chain !== undefined) this.#chain = nextChain(this.#chain, row.hash);
    this.seq = row.seq;
    this.#n = row.n;
  }

  /** Goes over what a drop record says was removed, when it begins right here and ends before the next row. */
  #passHoles(upTo: number): BadRow | undefined {
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
  #passHeads(seq: number): BadRow | undefined {
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
  #broken(): BadRow {
    const { seq, n } = this.#disorder ?? { seq: this.#goodSeq + 1, n: this.#suspectN };
    const what = this.#disorder === undefined ? "edited" : "reordered";
    const detail = `the chain value written down for row ${this.seq} is another`;
    return { ...this.#bad(what, seq, n, detail), toSeq: this.seq };
  }

  /** What the row says of itself, against its columns. */
  #contentOf(row: Row): string | undefined {
    if (typeof row.body !== "string") return "its body is no text";
    if (!bodyHash(row.body).equals(row.hash)) return "its body does not fit its hash";
    let body: { id?: unknown; kind?: unknown; agent?: unknown; heads?: StreamHead[] };
    try {
      body = JSON.parse(row.body) as typeof body;
    } catch {
      return "its body is not JSON";
    }
    if (typeof body.id === "string" && body.id.replaceAll("-", "") !== row.id.toString("hex"))
      return "its id is another";
    const kind = kindName(row.kind);
    if (kind !== undefined && typeof body.kind === "string" && body.kind !== kind) return "its kind is another";
    const agent = this.#agents.get(row.agent) ?? "";
    if (typeof body.agent === "string" && body.agent !== agent) return "its agent is another";
    const isHead = row.kind === recordKinds.chainHead || row.kind === recordKinds.epochClose;
    const own = isHead ? body.heads?.find((head) => head.stream === this.#stream) : undefined;
    if (own !== undefined && own.seq !== row.seq - 1) return `it was written as row ${own.seq + 1} of its stream`;
    return undefined;
  }

  #bad(what: Damage, seq: number, n: number | undefined, detail: string): BadRow {
    return { what, epoch: this.#epoch, stream: this.#stream, seq, toSeq: undefined, n, detail };
  }
}
