import { statSync } from "node:fs";
import { crashpoint } from "../crashpoint.ts";
import { PAGE_BYTES, WAL_KEEP_BYTES } from "./open-records.ts";
import { type Database, sqliteCode } from "./sqlite-writer.ts";

/** Beyond this a reader holds the WAL: it is waited for, a little, and somebody is told. */
const WAL_LARGE_BYTES = 16_777_216;
const WAIT_FOR_READERS_MS = 50;
const BUSY_MS = 5000;
const FORCE_EVERY_MS = 1000;
/** Pages that change besides the bodies: index, tallies, projections. A first guess. */
const COMMIT_OVERHEAD_BYTES = 12_288;
/** The WAL is cut down to what is kept: beyond it each commit lets the file grow anew, which costs more than its bytes. */
const CHECKPOINT_BYTES = WAL_KEEP_BYTES * 0.9;
const FRAME_BYTES = PAGE_BYTES + 24;

/** Brings the WAL back into the database, often enough that it stays small, without waiting for readers. */
export class Checkpointer {
  readonly #database: Database;
  readonly #walPath: string;
  readonly #note: (what: string, detail: Record<string, unknown>) => void;
  #sinceBytes = 0;
  /** How much a commit really adds, as a share of what was thought: learned from each checkpoint. */
  #scale = 1;
  /** What the WAL held at the last checkpoint. */
  #framesBytes = 0;
  #busy = 0;
  #largestBytes = 0;
  #forcedAtMs = 0;
  #isNoted = false;

  constructor(database: Database, note: (what: string, detail: Record<string, unknown>) => void) {
    this.#database = database;
    this.#walPath = `${database.name}-wal`;
    this.#note = note;
  }

  /** After each commit; `bytes` is about what was put in. */
  committed(bytes: number): void {
    this.#sinceBytes += COMMIT_OVERHEAD_BYTES + bytes + (bytes >> 2);
    if (this.#sinceBytes * this.#scale < CHECKPOINT_BYTES) return;
    const walBytes = this.#walBytes();
    this.#largestBytes = Math.max(this.#largestBytes, walBytes);
    const isDone = walBytes < WAL_LARGE_BYTES ? this.#run("PASSIVE") : this.#force(walBytes);
    if (isDone) this.#scale = Math.min(16, Math.max(0.5, this.#framesBytes / this.#sinceBytes));
    this.#sinceBytes = 0;
  }

  /** Empties the WAL if nobody reads; at close, and to make room on a full disk. */
  truncate(): void {
    this.#run("TRUNCATE");
  }

  get busyCount(): number {
    return this.#busy;
  }

  get largestWalBytes(): number {
    return Math.max(this.#largestBytes, this.#walBytes());
  }

  #force(walBytes: number): boolean {
    if (!this.#isNoted) this.#note("a reader holds the write-ahead log", { walBytes, busy: this.#busy });
    this.#isNoted = true;
    this.#framesBytes = walBytes;
    const nowMs = performance.now();
    if (nowMs - this.#forcedAtMs < FORCE_EVERY_MS) return this.#run("PASSIVE");
    this.#forcedAtMs = nowMs;
    this.#database.pragma(`busy_timeout = ${WAIT_FOR_READERS_MS}`);
    try {
      const isDone = this.#run("TRUNCATE");
      if (isDone) this.#isNoted = false;
      return isDone;
    } finally {
      this.#database.pragma(`busy_timeout = ${BUSY_MS}`);
    }
  }

  /** True when everything went into the database. */
  #run(how: "PASSIVE" | "TRUNCATE"): boolean {
    crashpoint("checkpoint.before");
    try {
      const [row] = this.#database.pragma(`wal_checkpoint(${how})`) as {
        busy: number;
        log: number;
        checkpointed: number;
      }[];
      crashpoint("checkpoint.after");
      const isDone = row !== undefined && row.busy === 0 && row.log === row.checkpointed;
      if (!isDone) this.#busy += 1;
      // Where a reader held the WAL, frames of before are among them: the next checkpoint comes too early, and knows better.
      if (row !== undefined && how === "PASSIVE") this.#framesBytes = row.log * FRAME_BYTES;
      return isDone;
    } catch (error) {
      // A full disk: the commits are safe in the WAL, and the next one that fails tells of it.
      if (sqliteCode(error) === "" || sqliteCode(error).startsWith("SQLITE_CORRUPT")) throw error;
      this.#busy += 1;
      return false;
    }
  }

  #walBytes(): number {
    return statSync(this.#walPath, { throwIfNoEntry: false })?.size ?? 0;
  }
}
