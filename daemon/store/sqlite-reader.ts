import { existsSync } from "node:fs";
import Sqlite from "better-sqlite3";
import { StoreError } from "./errors.ts";
import type { Schema } from "./migrations.ts";

export type ReadDatabase = Sqlite.Database;
export type ReadStatement = Sqlite.Statement<unknown[], unknown>;

/** Opens a database to look at it, whether the daemon runs or not. */
export function openForReading(path: string, schema: Schema): ReadDatabase {
  if (!existsSync(path)) throw new StoreError("STORE_MISSING", { file: path });
  const database = open(path);
  try {
    const version = Number(database.pragma("user_version", { simple: true }));
    const applicationId = database.pragma("application_id", { simple: true });
    const newest = schema.migrations.at(-1)?.to ?? 0;
    if (version === 0 && applicationId === 0) throw new StoreError("STORE_MISSING", { file: path });
    if (applicationId !== schema.applicationId) throw new StoreError("STORE_FOREIGN", { file: path, applicationId });
    if (version > newest) throw new StoreError("STORE_NEWER", { file: path, version, newest });
    return database;
  } catch (error) {
    database.close();
    throw translate(error, path);
  }
}

/** What SQLite says of a file that is damaged or no database at all becomes STORE_CORRUPT. */
export function translate(error: unknown, path: string): unknown {
  if (!(error instanceof Sqlite.SqliteError)) return error;
  if (!/^SQLITE_(CORRUPT|NOTADB)/.test(error.code))
    return new StoreError("STORE_QUERY", { file: path, sqlite: error.code }, { cause: error });
  return new StoreError("STORE_CORRUPT", { file: path, sqlite: error.code }, { cause: error });
}

function open(path: string): ReadDatabase {
  try {
    return new Sqlite(path, { readonly: true, fileMustExist: true });
  } catch (error) {
    throw translate(error, path);
  }
}
