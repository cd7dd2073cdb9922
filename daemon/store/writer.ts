import { rmSync } from "node:fs";
import { armCrashpoint, crashpoint } from "../crashpoint.ts";
import { Ballast } from "./ballast.ts";
import { epochStartBody, healthBody } from "./bodies.ts";
import { Checkpointer } from "./checkpointer.ts";
import { LifeClock } from "./life-clock.ts";
import { LogTables } from "./log-tables.ts";
import type { Batch, EpochInfo, FromWriter, Moment, WriterFigures, WriterStart } from "./messages.ts";
import { assertDurable, PAGE_BYTES } from "./open-records.ts";
import { type Opening, openStore } from "./opening.ts";
import { writePosition } from "./position.ts";
import { Retention } from "./retention.ts";
import { recordHoles, recordSource } from "./salvage.ts";
import type { Database } from "./sqlite-writer.ts";
import { gapsIn, insertEpoch } from "./tables/epoch.ts";
import { agentsIn } from "./tables/state.ts";

/** Pages that only retention, and the beginning and end of an epoch may use, when the quota is reached. */
const RESERVE_PAGES = 256;
/** What of the budget is not the database's: WAL and its growth, ballast, control.db and its copy. */
const QUOTA_SHARE = 0.8;
const LEAST_QUOTA_PAGES = 512;
const QUOTA_MARGIN_BYTES = 131_072;
const PRESSED_RETAIN_MS = 20;
const ROOM_STEPS = 200;

/** The one writer of the log: commits batches, ends minutes, lets old rows go. Runs in a thread of its own. */
export class Writer {
  readonly #start: WriterStart;
  readonly #opening: Opening;
  readonly #database: Database;
  readonly #tables: LogTables;
  readonly #checkpointer: Checkpointer;
  readonly #retention: Retention;
  readonly #ballast: Ballast;
  readonly #life: LifeClock;
  readonly #quotaPages: number;
  #commits = 0;
  #headsAt = 0;
  #uncheckedBytes = 0;
  #pretendFull = false;

  constructor(start: WriterStart, post: (message: FromWriter) => void) {
    armCrashpoint(start.faults.crashpoint);
    crashpoint("open.before");
    this.#start = start;
    this.#opening = openStore(start);
    const { database, ordinal, lastN, files } = this.#opening;
    this.#database = database;
    const quotaBytes = Math.max(LEAST_QUOTA_PAGES * PAGE_BYTES, start.limits.maxBytes * QUOTA_SHARE);
    this.#quotaPages = Math.floor(quotaBytes / PAGE_BYTES);
    this.#limitPages(0);
    this.#ballast = new Ballast(files.ballast, start.limits.ballastBytes);
    this.#tables = new LogTables(database, ordinal, lastN, start.limits.rememberIds, this.#opening.signer);
    this.#life = new LifeClock(database, start.bootMs);
    this.#checkpointer = new Checkpointer(database, (what, detail) => post({ kind: "note", what, detail }));
    this.#retention = new Retention({
      database,
      tables: this.#tables,
      ordinal,
      quotaBytes: this.#quotaPages * PAGE_BYTES,
      pageBytes: PAGE_BYTES,
      limits: start.limits,
      transact: (work) => this.#withReserve(() => this.#transact(work)),
    });
  }

  /** Writes the epoch's first record: from here on the log goes on. */
  begin(): Extract<FromWriter, { kind: "opened" }> {
    const start = this.#start;
    const { id, ordinal, previous, reason, gap, notes, control } = this.#opening;
    crashpoint("epoch.before");
    // Called again when the disk was full: what is on disk already is not written twice.
    // With the reserve: at the quota, as a kill may leave it, there would be no start, and so nothing that makes room.
    if (this.lastN === this.#opening.lastN)
      this.#withReserve(() =>
        this.#transact(() => {
          const row = {
            ordinal,
            id,
            bootId: start.bootId,
            fingerprint: start.fingerprint,
            startedWallMs: Math.floor(start.wallMs),
          };
          insertEpoch(this.#database, { ...row, startedBootMs: start.bootMs, reason }, previous);
          if (gap !== undefined) this.#tables.state.addGap(gap.from, gap.to, gap.reason);
          this.#tables.write(0, "epochStart", start.wallMs, (recordId) =>
            epochStartBody(recordId, this.#opening, start),
          );
          if (this.#opening.hasHoles) recordHoles(this.#database, this.#tables, start.wallMs);
          if (this.#opening.salvaged !== undefined) {
            this.#tables.actions.rebuild();
            recordSource(this.#database, this.#opening.salvaged);
          }
        }),
      );
    assertDurable(this.#database);
    crashpoint("epoch.after");
    this.#position(start.wallMs);
    control.change({ kind: "meta", name: "ordinal", value: String(ordinal) });
    if (this.#opening.salvaged !== undefined) control.change({ kind: "meta", name: "salvaging", value: "" });
    rmSync(this.#opening.files.wentBack, { force: true });
    crashpoint("position.after");
    this.#ballast.take();
    const epoch: EpochInfo = { id, ordinal, previous, reason, startedWallMs: start.wallMs, gap, notes };
    return { kind: "opened", epoch, gaps: gapsIn(this.#database), agents: agentsIn(this.#database), lastN: this.lastN };
  }

  get lastN(): number {
    return this.#tables.records.lastN;
  }

  get opening(): Opening {
    return this.#opening;
  }

  get tables(): LogTables {
    return this.#tables;
  }

  /** One transaction with everything that the batch holds. Throws when it could not be made durable; then nothing is. */
  commit(batch: Batch): Extract<FromWriter, { kind: "durable" }> {
    let gaps = [] as ReturnType<LogTables["apply"]>;
    this.#transact(() => {
      gaps = this.#tables.apply(batch);
    });
    return { kind: "durable", number: batch.number, lastN: this.lastN, gaps };
  }

  /**
   * What may wait until everybody knows that the batch is on disk: the checkpoint. True when enough was written since
   * the last look that the quota may be near.
   */
  committed(batch: Batch): boolean {
    const bytes = sizeOf(batch);
    this.#uncheckedBytes += bytes;
    this.#checkpointer.committed(bytes);
    if (this.#uncheckedBytes < (this.#quotaPages * PAGE_BYTES) / 128) return false;
    this.#uncheckedBytes = 0;
    return this.#retention.look(this.#life.nowMs());
  }

  /** The minute is over: roll-ups, chain heads, sizes, age, position. True when rows are to go. */
  minute(moment: Moment): boolean {
    crashpoint("minute.before");
    this.#life.tick(moment.bootMs);
    const minute = Math.floor(moment.wallMs / 60_000) * 60_000;
    const isNews = this.lastN !== this.#headsAt;
    if (isNews) {
      this.#transact(() => {
        this.#tables.writeRollups(this.#tables.tallies.endBefore(minute), moment.wallMs);
        this.#tables.writeHeads("chainHead", moment.wallMs);
        this.#tables.sizes.write(this.lastN);
        this.#life.write(this.lastN);
        this.#tables.actions.prune();
      });
      this.#headsAt = this.lastN;
      this.#position(moment.wallMs);
    }
    this.#ballast.take();
    crashpoint("minute.after");
    return this.#retention.look(this.#life.nowMs());
  }

  /** Lets old rows go for a short time. True when there is more. */
  retain(wallMs: number): boolean {
    const endsAt = performance.now() + (this.#retention.isPressed ? PRESSED_RETAIN_MS : 0);
    let isMore = this.#retention.step(wallMs, this.#life.nowMs());
    while (isMore && performance.now() < endsAt) isMore = this.#retention.step(wallMs, this.#life.nowMs());
    this.#checkpointer.committed(0);
    return isMore;
  }

  /** The quota, not the disk, is what this batch has no room for. */
  isQuotaReached(batch: Batch): boolean {
    return this.#freePages() * PAGE_BYTES < 2 * sizeOf(batch) + QUOTA_MARGIN_BYTES;
  }

  /** Lets old rows go at once until the batch fits, as far as the rules allow. True when that made room. */
  makeRoomInQuota(batch: Batch, wallMs: number): boolean {
    const before = this.#freePages();
    const lifeMs = this.#life.nowMs();
    for (let step = 0; step < ROOM_STEPS && this.isQuotaReached(batch); step++) {
      if (!this.#retention.look(lifeMs, "quota")) break;
      this.#retention.step(wallMs, lifeMs);
    }
    return this.#freePages() > before;
  }

  /** On a full disk: gives up the ballast, empties the WAL, lets old rows go as far as the rules allow. */
  makeRoom(wallMs: number): void {
    this.#ballast.release();
    this.#checkpointer.truncate();
    if (!this.#retention.look(this.#life.nowMs(), "disk")) return;
    // Bounded: then the commit is tried again.
    for (let step = 0; step < ROOM_STEPS && this.#retention.step(wallMs, this.#life.nowMs()); step++);
    this.#checkpointer.truncate();
  }

  /** A record that the disk was full, once it no longer is. */
  recovered(what: string, wallMs: number, detail: Record<string, unknown>): void {
    this.#transact(() => {
      this.#tables.write(3, "health", wallMs, (id) => healthBody(id, what, wallMs, detail));
    });
    this.#ballast.take();
  }

  figures(): WriterFigures {
    return {
      rows: this.#tables.sizes.allRows(),
      lastN: this.lastN,
      commits: this.#commits,
      busyCheckpoints: this.#checkpointer.busyCount,
      largestWalBytes: this.#checkpointer.largestWalBytes,
      droppedRows: this.#retention.droppedRows,
      synchronous: Number(this.#database.pragma("synchronous", { simple: true })),
    };
  }

  pretendFull(full: boolean): void {
    this.#pretendFull = full;
  }

  /** Ends the epoch with the heads of its streams, and leaves one file without a WAL. */
  close(moment: Moment): void {
    crashpoint("close.before");
    this.#withReserve(() =>
      this.#transact(() => {
        this.#life.tick(moment.bootMs);
        this.#tables.writeRollups(this.#tables.tallies.endAll(), moment.wallMs);
        this.#life.write(this.lastN);
        this.#tables.sizes.write(this.lastN + 1);
        this.#tables.writeHeads("epochClose", moment.wallMs);
      }),
    );
    this.#position(moment.wallMs);
    this.#checkpointer.truncate();
    crashpoint("close.after");
  }

  /** Lets all files go, whatever state they are in. */
  release(): void {
    this.#database.close();
    this.#opening.control.close();
    this.#opening.lock.close();
  }

  #freePages(): number {
    const unused = Number(this.#database.pragma("freelist_count", { simple: true }));
    const used = Number(this.#database.pragma("page_count", { simple: true }));
    return this.#quotaPages - used + unused;
  }

  #transact(work: () => void): void {
    const database = this.#database;
    this.#tables.save();
    database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#tables.tallies.write();
      if (this.#pretendFull) throw Object.assign(new Error("database or disk is full (test)"), { code: "SQLITE_FULL" });
      crashpoint("commit.before");
      database.exec("COMMIT");
      crashpoint("commit.after");
    } catch (error) {
      // SQLite rolls back by itself after some errors, after others not.
      if (database.inTransaction) database.exec("ROLLBACK");
      this.#tables.restore();
      throw error;
    }
    this.#commits += 1;
    if (this.#start.faults.slowCommitMs !== undefined) sleep(this.#start.faults.slowCommitMs);
  }

  #withReserve(work: () => void): void {
    this.#limitPages(RESERVE_PAGES);
    try {
      work();
    } finally {
      this.#limitPages(0);
    }
  }

  #limitPages(more: number): void {
    this.#database.pragma(`max_page_count = ${this.#quotaPages + more}`);
  }

  #position(wallMs: number): void {
    const { files, ordinal, id, signer } = this.#opening;
    const position = { ordinal, epoch: id, n: this.lastN, wallMs: Math.floor(wallMs) };
    try {
      writePosition(files.position, position, this.#tables.heads.list(), signer);
    } catch {
      // A full disk: the older position stays, and only the comparison at the next start is coarser.
    }
  }
}

function sizeOf(batch: Batch): number {
  let bytes = 0;
  for (const body of batch.bodies) bytes += body.length + 96;
  for (const block of batch.readings) bytes += 8 * block.numbers.length;
  for (const block of batch.seen) bytes += 40 * block.ids.length;
  return bytes;
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
