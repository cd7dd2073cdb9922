import { statSync } from "node:fs";
import { crashpoint } from "../crashpoint.ts";
import { WAL_KEEP_BYTES } from "./open-records.ts";
import { type Database, sqliteCode } from "./sqlite-writer.ts";

/** Beyond this a reader holds the WAL: it is waited for, a little, and somebody is told. */
const WAL_LARGE_BYTES = 16_777_216;
const WAIT_FOR_READERS_MS = 50;
const BUSY_MS = 5000;
const FORCE_EVERY_MS = 1000;
/** Pages that change besides the bodies: index, tallies, projections. */
const COMMIT_OVERHEAD_BYTES = 12_288;

/** Brings the WAL back into the database, often enough that it stays small, without waiting for readers. */
export class Checkpointer {
  readonly #database: Database;
  readonly #walPath: string;
  readonly #note: (what: string, detail: Record<string, unknown>) => void;
  #sinceBytes = 0;
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
    if (this.#sinceBytes < WAL_KEEP_BYTES) return;
    const walBytes = this.#walBytes();
    this.#largestBytes = Math.max(this.#largestBytes, walBytes);
    this.#sinceBytes = 0;
    if (walBytes < WAL_LARGE_BYTES) this.#run("PASSIVE");
    else this.#force(walBytes);
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

  #force(walBytes: number): void {
    if (!this.#isNoted) this.#note("a reader holds the write-ahead log", { walBytes, busy: this.#busy });
    this.#isNoted = true;
    const nowMs = performance.now();
    if (nowMs - this.#forcedAtMs < FORCE_EVERY_MS) {
      this.#run("PASSIVE");
      return;
    }
    this.#forcedAtMs = nowMs;
    this.#database.pragma(`busy_timeout = ${WAIT_FOR_READERS_MS}`);
    try {
      if (this.#run("TRUNCATE")) this.#isNoted = false;
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
