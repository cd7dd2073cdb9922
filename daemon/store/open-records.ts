import { existsSync, statSync } from "node:fs";
import { StoreError } from "./errors.ts";
import type { StoreFiles } from "./files.ts";
import { isFresh, migrate } from "./migrations.ts";
import { asideName, quarantine } from "./quarantine.ts";
import { recordsSchema } from "./schema.ts";
import { assertVersion, type Database, isDamage, openForWriting } from "./sqlite-writer.ts";

export const PAGE_BYTES = 2048;
/** The WAL keeps at most this much room once a checkpoint has emptied it. */
export const WAL_KEEP_BYTES = 4_194_304;
/** What is checked at once after a crash; beyond it the big table is left out, since a card reads some 20 MB a second. */
const CHECK_AFTER_CRASH_BYTES = 268_435_456;
const CHECK_AFTER_CLOSE_BYTES = 33_554_432;
const KIND_EPOCH_CLOSE = 12;

export interface OpenedRecords {
  readonly database: Database;
  /** Where the unreadable file was put, when there was one. */
  readonly aside: string | undefined;
  readonly notes: string[];
}

interface Circumstances {
  readonly wallMs: number;
  /** There has been a log here before. */
  readonly wasKnown: boolean;
  /** A running daemon came upon damage. */
  readonly isSuspect: boolean;
  /** What was set aside before and is still to be saved from. */
  readonly needed: readonly string[];
  /** Told before anything is set aside, so that a start after a power cut knows of it. */
  readonly announce: (aside: string) => void;
}

/** Opens records.db or makes it; sets aside what can not be read. */
export function openRecords(files: StoreFiles, circumstances: Circumstances): OpenedRecords {
  const { wallMs, wasKnown, isSuspect, needed, announce } = circumstances;
  const notes: string[] = [];
  const existed = existsSync(files.records);
  let why = withoutTheFile(files.records, wasKnown);
  if (why === undefined) {
    const tried = tryOpen(files.records, notes, isSuspect, wasKnown && existed);
    if (typeof tried !== "string") {
      if (!existed && wasKnown) notes.push("records.db was missing");
      return { database: tried, aside: undefined, notes };
    }
    why = tried;
  }
  const aside = asideName(files.records, wallMs);
  announce(aside);
  quarantine(files.records, aside, needed);
  notes.push(`records.db was set aside as ${aside}: ${why}`);
  const database = openForWriting(files.records);
  settle(database);
  return { database, aside, notes };
}

/** Beside a file that is empty or missing SQLite deletes the WAL, which may hold all that there is: it is never opened so. */
function withoutTheFile(path: string, wasKnown: boolean): string | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size !== undefined && size > 0) return undefined;
  const hasWal = (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
  if (size === undefined) return hasWal ? "the file was missing, and its write-ahead log was there" : undefined;
  return wasKnown || hasWal ? "the file is empty" : undefined;
}

/** The database, or the reason why it can not be used. */
function tryOpen(path: string, notes: string[], isSuspect: boolean, mustHaveTables: boolean): Database | string {
  let database: Database | undefined;
  try {
    database = openForWriting(path);
    if (mustHaveTables && isFresh(database)) throw new StoreError("STORE_CORRUPT", { reason: "it has no tables" });
    settle(database);
    const damage = check(database, notes, isSuspect);
    if (damage === undefined) return database;
    database.close();
    return damage;
  } catch (error) {
    database?.close();
    if (error instanceof StoreError && error.code === "STORE_CORRUPT") return String(error.detail.reason);
    if (isDamage(error)) return String(error instanceof Error ? error.message : error);
    throw error;
  }
}

function settle(database: Database): void {
  assertVersion(database);
  database.pragma(`page_size = ${PAGE_BYTES}`);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  // Checkpoints are run by the writer itself, which looks at what came of them.
  database.pragma("wal_autocheckpoint = 0");
  database.pragma(`journal_size_limit = ${WAL_KEEP_BYTES}`);
  database.pragma("cache_size = -4096");
  migrate(database, recordsSchema);
}

/** better-sqlite3 turns to NORMAL by itself when the first write opens the WAL: looked at after that write. */
export function assertDurable(database: Database): void {
  database.pragma("synchronous = FULL");
  const level = database.pragma("synchronous", { simple: true });
  const mode = database.pragma("journal_mode", { simple: true });
  if (level !== 2 || mode !== "wal")
    throw new StoreError("STORE_NOT_DURABLE", { synchronous: level, journalMode: mode });
}

/** quick_check within what a start may take. Gives what is wrong; notes what was left out. */
function check(database: Database, notes: string[], isSuspect: boolean): string | undefined {
  const bytes = Number(database.pragma("page_count", { simple: true })) * PAGE_BYTES;
  const closed = database.prepare("SELECT kind FROM record ORDER BY n DESC LIMIT 1").pluck().get() === KIND_EPOCH_CLOSE;
  const budget = closed ? CHECK_AFTER_CLOSE_BYTES : CHECK_AFTER_CRASH_BYTES;
  if (isSuspect || bytes <= budget) return damageIn(database, "quick_check(1)");
  if (closed) {
    notes.push(`quick_check skipped: the last stop was clean and the file has ${bytes} bytes`);
    return undefined;
  }
  notes.push(`quick_check left out the table of records: the file has ${bytes} bytes`);
  return damageBesideRecords(database);
}

/** What is wrong with a file, within what a start may take. */
export function damageOf(database: Database): string | undefined {
  const bytes = ["page_count", "page_size"].reduce((n, name) => n * Number(database.pragma(name, { simple: true })), 1);
  return bytes <= CHECK_AFTER_CRASH_BYTES ? damageIn(database, "quick_check(1)") : damageBesideRecords(database);
}

function damageBesideRecords(database: Database): string | undefined {
  const tables = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'record'")
    .pluck()
    .all();
  for (const table of tables as string[]) {
    const damage = damageIn(database, `quick_check(${table})`);
    if (damage !== undefined) return damage;
  }
  return undefined;
}

function damageIn(database: Database, pragma: string): string | undefined {
  const said = String(database.pragma(pragma, { simple: true }));
  return said === "ok" ? undefined : said;
}
