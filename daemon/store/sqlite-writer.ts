import { truncateSync } from "node:fs";
import Sqlite from "better-sqlite3";
import { StoreError } from "./errors.ts";

export type Database = Sqlite.Database;
export type Statement = Sqlite.Statement<unknown[], unknown>;

const BUSY_MS = 5000;
const OLDEST_SQLITE = [3, 51, 3] as const;

/** Opens a database for writing. Who may write is settled by the lock before this is called. */
export function openForWriting(path: string): Database {
  return new Sqlite(path, { timeout: BUSY_MS });
}

/** Opens a database to look into it; what is there stays as it is. */
export function openForLook(path: string): Database {
  return new Sqlite(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
}

/** Opens what may be damaged, to save what can be read. */
export function openForSalvage(path: string): Database {
  const database = new Sqlite(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
  // Otherwise nothing at all is read of a file that is shorter than its header says.
  database.unsafeMode(true);
  database.pragma("writable_schema = ON");
  return database;
}

/**
 * Takes the data directory for this process: an exclusive transaction on a database of its own, held open. The kernel
 * lets it go however the process ends. Null when somebody else has it.
 */
export function takeLock(path: string): Database | undefined {
  try {
    return tryLock(path);
  } catch (error) {
    // It holds nothing, and nobody has it, or that would have been said first. In place: who waits for it waits for this file.
    if (!isDamage(error)) throw error;
    truncateSync(path, 0);
    return tryLock(path);
  }
}

function tryLock(path: string): Database | undefined {
  const lock = new Sqlite(path, { timeout: 0 });
  try {
    lock.pragma("journal_mode = MEMORY");
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if (sqliteCode(error).startsWith("SQLITE_BUSY")) return undefined;
    throw error;
  }
}

/** Older versions can corrupt a WAL database that two connections use (fixed in 3.51.3). */
export function assertVersion(database: Database): void {
  const version = String(database.prepare("SELECT sqlite_version()").pluck().get());
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  const [needMajor, needMinor, needPatch] = OLDEST_SQLITE;
  const fits = major !== needMajor ? major > needMajor : minor !== needMinor ? minor > needMinor : patch >= needPatch;
  if (!fits) throw new StoreError("STORE_UNUSABLE", { sqlite: version, needed: OLDEST_SQLITE.join(".") });
}

/** It was read, and is no database, or not a whole one. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(sqliteCode(error));
}

/** The code of an error of SQLite, or of one that tests make; "" for all others. */
export function sqliteCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code.startsWith("SQLITE_") ? code : "";
}
