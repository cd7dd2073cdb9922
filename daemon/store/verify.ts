import { existsSync } from "node:fs";
import { recordKinds } from "../../sync/kinds.ts";
import { type BadRow, type Finding, inOrder } from "./damage.ts";
import { databaseSource } from "./database-source.ts";
import { checkEpochs, type Extent } from "./epoch-check.ts";
import { StoreError } from "./errors.ts";
import { Evidence, readEvidence } from "./evidence.ts";
import { storeFiles } from "./files.ts";
import { type Keyring, keyringIn } from "./keyring.ts";
import type { LogRow, LogSource } from "./log-source.ts";
import { readTestimony, type Testimony } from "./position.ts";
import { controlMeta } from "./queries.ts";
import { RowOrder } from "./row-order.ts";
import { recordsSchema } from "./schema.ts";
import { type SignatureSummary, Signatures } from "./signatures.ts";
import { openForReading, type ReadDatabase, translate } from "./sqlite-reader.ts";
import { StreamWalk } from "./stream-walk.ts";

const STREAMS = [0, 1, 2, 3] as const;
const MOST_TOLD = 20;
const TRIES = 3;
const UNREADABLE: ReadonlySet<string> = new Set(["STORE_CORRUPT", "STORE_EXPORT"]);

export interface VerifyResult {
  readonly ok: boolean;
  readonly rows: number;
  readonly epochs: number;
  readonly droppedRows: number;
  /** Rows after the last chain head that was written down: their hashes fit, but nothing vouches for their number. */
  readonly unattested: number;
  readonly signatures: SignatureSummary;
  readonly bad: BadRow | undefined;
  /** What else is not as it was written, in the order of the log; the first of it. */
  readonly others: readonly BadRow[];
}

/** What lies beside the rows and tells of them. */
export interface Beside {
  readonly keyring: Keyring;
  readonly testimony?: Testimony | undefined;
  /** The last start that control.db knows. */
  readonly ordinal?: number | undefined;
}

type Progress = (done: number, total: number) => void;

export interface VerifyOptions {
  readonly directory: string;
  /** Default: the public keys in the directory itself. */
  readonly keyring?: Keyring | undefined;
  readonly progress?: Progress | undefined;
}

/** Recomputes every hash and every chain from the rows and checks the signatures, on a log that runs or does not. */
export function verifyLog(options: VerifyOptions): VerifyResult {
  const files = storeFiles(options.directory);
  const database = openForReading(files.records, recordsSchema);
  try {
    const keyring = options.keyring ?? keyringIn(files);
    for (let attempt = 1; ; attempt++) {
      // Read before the rows: a log that runs is never behind what was said of it earlier.
      const testimony = readTestimony(files.position);
      const ordinal = existsSync(files.control) ? Number(controlMeta(files.control)["ordinal"] ?? 0) : undefined;
      const source = databaseSource(database);
      const result = verifySource(source, { keyring, testimony, ordinal }, options.progress);
      if (result.ok || attempt === TRIES || !hasDropsAfter(database, source.lastN)) return result;
    }
  } finally {
    database.close();
  }
}

/** Rows that retention removed meanwhile were missed, not missing. */
function hasDropsAfter(database: ReadDatabase, n: number): boolean {
  return (
    database.prepare(`SELECT 1 FROM record WHERE n > ? AND kind = ${recordKinds.drop} LIMIT 1`).get(n) !== undefined
  );
}

/** The same for rows from wherever. */
export function verifySource(source: LogSource, beside: Beside, progress?: Progress): VerifyResult {
  return new Verification(source, beside, progress).run();
}

class Verification {
  readonly #source: LogSource;
  readonly #beside: Beside;
  readonly #progress: Progress | undefined;
  readonly #signatures: Signatures;
  readonly #findings: Finding[] = [];
  readonly #extents = new Map<number, Extent>();
  readonly #walks = new Map<number, StreamWalk[]>();
  readonly #strange = new Set<string>();
  #rows = 0;

  constructor(source: LogSource, beside: Beside, progress: Progress | undefined) {
    this.#source = source;
    this.#beside = beside;
    this.#progress = progress;
    this.#signatures = new Signatures(beside.keyring);
  }

  run(): VerifyResult {
    const evidence = this.#evidence();
    const order = new RowOrder(evidence, this.#source.epochs);
    this.#attempt(order, () => {
      for (const row of this.#source.rows()) this.#row(row, order, evidence);
    });
    this.#ended(order);
    for (const { ordinal } of this.#source.epochs)
      for (const walk of this.#walksOf(ordinal, order.lastN, evidence)) this.#found(walk.end());
    this.#findings.push(...this.#doubtful(), ...checkEpochs(this.#source, evidence, this.#extents));
    const signatures = this.#signatures.summary(this.#source.epochs);
    const [bad, ...others] = inOrder([...this.#signatures.findings, ...this.#findings]);
    const walks = [...this.#walks.values()].flat();
    return {
      ok: bad === undefined,
      rows: this.#rows,
      epochs: this.#source.epochs.length,
      droppedRows: walks.reduce((sum, walk) => sum + walk.dropped, 0),
      unattested: walks.reduce((sum, walk) => sum + walk.unattested(), 0),
      signatures,
      bad,
      others: others.slice(0, MOST_TOLD),
    };
  }

  #evidence(): Evidence {
    let evidence = new Evidence();
    this.#attempt(undefined, () => {
      evidence = readEvidence(this.#source, this.#signatures);
    });
    this.#testify(evidence);
    evidence.sort();
    return evidence;
  }

  /** What stands in position.json and control.db tells how far the log had come. */
  #testify(evidence: Evidence): void {
    const { testimony, ordinal = 0 } = this.#beside;
    const last = this.#source.epochs.at(-1)?.ordinal ?? 0;
    const end = { epoch: last, stream: 0, seq: 0, toSeq: undefined, n: undefined, near: this.#source.lastN + 1.75 };
    const behind = (detail: string): void => void this.#findings.push({ ...end, what: "truncated", detail });
    const known = Math.max(ordinal, testimony?.ordinal ?? 0);
    if (known > last) behind(`the gateway has started ${known} times, and this log ends with start ${last}`);
    if (testimony === undefined || !this.#signatures.believes(testimony, end)) return;
    const epoch = this.#source.epochs.find((one) => one.ordinal === testimony.ordinal);
    if (epoch === undefined) return;
    if (testimony.epoch !== "" && testimony.epoch !== epoch.id) behind("position.json tells of another log");
    evidence.stood(epoch.ordinal, testimony.heads);
    if (epoch.ordinal === last && testimony.n > this.#source.lastN)
      behind(`the log had come to row ${testimony.n}, and ends at row ${this.#source.lastN}`);
  }

  #row(row: LogRow, order: RowOrder, evidence: Evidence): void {
    this.#rows += 1;
    if (this.#rows % 500 === 0 || row.n === this.#source.lastN) this.#progress?.(this.#rows, this.#source.lastN);
    const walks = this.#walksOf(row.epoch, order.lastN, evidence);
    const walk = walks[row.stream];
    if (walk === undefined) {
      this.#stranger(row);
      return;
    }
    const extent = this.#extents.get(row.epoch);
    if (extent === undefined) this.#extents.set(row.epoch, { firstN: row.n, lastN: row.n });
    else extent.lastN = row.n;
    const finding = walk.row(row);
    this.#found(finding);
    const isSound = walks.every((one) => !one.isBad);
    this.#found(order.row(row, isSound, finding !== undefined));
  }

  /** Rows whose removal is told by a record that is bad itself, or comes after one that is. */
  #doubtful(): Finding[] {
    const holes = [...this.#walks.values()].flat().flatMap((walk) => walk.holes);
    return holes.flatMap(({ drop, near }) => {
      const teller = drop.by === undefined ? undefined : this.#walks.get(drop.by.epoch)?.[0];
      if (teller === undefined || drop.by === undefined || teller.isSound(drop.by.seq)) return [];
      const { epoch, stream, from, to } = drop;
      const detail = `that rows ${from} to ${to} were dropped is told by a record that is not as it was written`;
      return [{ what: "missing" as const, epoch, stream, seq: from, toSeq: to, n: undefined, near, detail }];
    });
  }

  /** An export says in its first line where it ends. */
  #ended({ lastN }: RowOrder): void {
    if (lastN >= this.#source.lastN) return;
    const epoch = this.#source.epochs.at(-1)?.ordinal ?? 0;
    const place = { epoch, stream: 0, seq: 0, toSeq: undefined, n: undefined, near: lastN + 1.75 };
    const detail = `it should end at row ${this.#source.lastN}, and ends at row ${lastN}`;
    this.#findings.push({ ...place, what: "truncated", detail });
  }

  /** The four streams of a start; none for one that never was. */
  #walksOf(ordinal: number, afterN: number, evidence: Evidence): StreamWalk[] {
    const known = this.#walks.get(ordinal);
    if (known !== undefined) return known;
    if (!this.#source.epochs.some((epoch) => epoch.ordinal === ordinal)) return [];
    const made = STREAMS.map((stream) => {
      const start = this.#source.starts?.find((one) => one.epoch === ordinal && one.stream === stream);
      return new StreamWalk({ epoch: ordinal, stream, afterN }, evidence.of(ordinal, stream), this.#source, start);
    });
    this.#walks.set(ordinal, made);
    return made;
  }

  #stranger({ n, epoch, stream, seq }: LogRow): void {
    const key = `${epoch}/${stream}`;
    if (this.#strange.has(key)) return;
    this.#strange.add(key);
    const detail = "no such epoch or stream was ever begun";
    this.#findings.push({ what: "inserted", epoch, stream, seq, toSeq: undefined, n, near: n, detail });
  }

  #found(finding: Finding | undefined): void {
    if (finding !== undefined) this.#findings.push(finding);
  }

  /** Runs what reads the file; a part of it that can not be read is a finding, and ends it. */
  #attempt(order: RowOrder | undefined, work: () => void): void {
    try {
      work();
    } catch (error) {
      const known = translate(error, "");
      if (!(known instanceof StoreError) || !UNREADABLE.has(known.code)) throw error;
      const epoch = this.#source.epochs.at(-1)?.ordinal ?? 0;
      const near = order === undefined ? Number.MAX_SAFE_INTEGER : order.lastN + 1;
      const detail = `${known.message} ${JSON.stringify(known.detail)}, after row ${order?.lastN ?? 0}`;
      const place = { epoch, stream: 0, seq: 0, toSeq: undefined, n: order && order.lastN + 1, near };
      this.#findings.push({ ...place, what: "unreadable", detail });
    }
  }
}
