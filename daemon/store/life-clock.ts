import type { Database, Statement } from "./sqlite-writer.ts";

const HOUR_MS = 3_600_000;
const KEEP_MARKS_MS = 800 * 86_400_000;

/**
 * How long the daemon has run in all, by boot time. Records age by this and never by the wall clock: a clock that
 * jumps a year ahead must not cost a year of records.
 */
export class LifeClock {
  readonly #putMeta: Statement;
  readonly #putMark: Statement;
  readonly #prune: Statement;
  #lifeMs: number;
  #markedAtMs: number;
  #bootMs: number;

  constructor(database: Database, bootMs: number) {
    this.#putMeta = database.prepare("INSERT OR REPLACE INTO meta VALUES ('lifeMs', ?)");
    this.#putMark = database.prepare("INSERT OR REPLACE INTO ageMark VALUES (?, ?)");
    this.#prune = database.prepare("DELETE FROM ageMark WHERE lifeMs < ?");
    this.#lifeMs = Number(database.prepare("SELECT value FROM meta WHERE name = 'lifeMs'").pluck().get() ?? 0);
    this.#markedAtMs = Number(database.prepare("SELECT max(lifeMs) FROM ageMark").pluck().get() ?? -HOUR_MS);
    this.#bootMs = bootMs;
  }

  tick(bootMs: number): void {
    this.#lifeMs += Math.max(0, bootMs - this.#bootMs);
    this.#bootMs = bootMs;
  }

  nowMs(): number {
    return this.#lifeMs;
  }

  /** In a transaction: how old the log is, and each hour up to which row it was written by then. */
  write(lastN: number): void {
    const lifeMs = Math.floor(this.#lifeMs);
    this.#putMeta.run(String(lifeMs));
    if (lifeMs - this.#markedAtMs < HOUR_MS) return;
    this.#markedAtMs = lifeMs;
    this.#putMark.run(lastN, lifeMs);
    this.#prune.run(lifeMs - KEEP_MARKS_MS);
  }
}
