import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { fsyncPath } from "../latch-file.ts";
import { storeFiles } from "../store/files.ts";
import type { Schema } from "../store/migrations.ts";
import { controlSchema, recordsSchema } from "../store/schema.ts";
import { openForReading, type ReadDatabase } from "../store/sqlite-reader.ts";
import { openForWriting } from "../store/sqlite-writer.ts";
import { BackupError } from "./errors.ts";

const PAGES_AT_ONCE = 2048;

export interface SnapshotOptions {
  /** Told the share that is done, from 0 to 1. */
  readonly progress?: (share: number) => void;
  readonly stop?: AbortSignal;
}

/**
 * Copies records.db and control.db into a folder, each as it is at one moment, whether a daemon writes to them or not.
 * Gives the paths of the copies; a database that is not there is left out.
 */
export async function snapshotDatabases(
  dataDirectory: string,
  intoFolder: string,
  { progress, stop }: SnapshotOptions = {},
): Promise<string[]> {
  const files = storeFiles(dataDirectory);
  const sources = [
    { path: files.control, name: "control.db", schema: controlSchema },
    { path: files.records, name: "records.db", schema: recordsSchema },
  ].filter(({ path }) => existsSync(path));
  const made: string[] = [];
  for (const [at, { path, name, schema }] of sources.entries()) {
    const to = join(intoFolder, name);
    await copyOne(path, schema, to, (share) => {
      if (stop?.aborted === true) throw new BackupError("BACKUP_STOPPED", {});
      progress?.((at + share) / sources.length);
    });
    made.push(to);
  }
  return made;
}

async function copyOne(path: string, schema: Schema, to: string, tell: (share: number) => void): Promise<void> {
  const database = openForReading(path, schema);
  try {
    // One read transaction over all steps: what is committed meanwhile neither comes in nor starts the copy anew.
    database.exec("BEGIN");
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    await copySteps(database, to, tell);
  } finally {
    database.close();
  }
  // One file that needs no other beside it.
  const copy = openForWriting(to);
  copy.pragma("journal_mode = DELETE");
  copy.close();
  chmodSync(to, 0o640);
  fsyncPath(to, "r+");
}

async function copySteps(database: ReadDatabase, to: string, tell: (share: number) => void): Promise<void> {
  await database.backup(to, {
    progress: ({ totalPages, remainingPages }) => {
      tell(totalPages === 0 ? 0 : 1 - remainingPages / totalPages);
      return PAGES_AT_ONCE;
    },
  });
}
