import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { crashpoint } from "../../crashpoint.ts";
import { syncFolder } from "../../durable-file.ts";
import type { Schema } from "../migrations.ts";
import { damageOf } from "../open-records.ts";
import { controlSchema } from "../schema.ts";
import { isDamage, openForWriting } from "../sqlite-writer.ts";
import { carryOver, isBeginning } from "./carry.ts";
import { formOf, type Snapshot } from "./snapshot.ts";

const PARTS = ["-wal", "-shm", "-journal", ""] as const;
/** The copy while the newer one's records are brought into it. */
export const UNFINISHED = ".older";
const NEWER = ".newer-";

export interface Return {
  readonly path: string;
  readonly schema: Schema;
  readonly snapshots: readonly Snapshot[];
  readonly wallMs: number;
  /** Called just before the older file takes the newer one's place. */
  readonly taking: () => void;
  /** Called when records stay behind that were in the newer file. */
  readonly losing: () => void;
}

/**
 * The way back from a newer version: where the database at `path` is of a form that this version does not know, the copy
 * that was made before the upgrade takes its place, with all that was written since. Gives notes for people; undefined
 * when there is nothing to do, or no copy that this version can read: opening the file says so then. Killed at any
 * moment, it is finished by the next start.
 */
export function returnToOlder({ path, schema, snapshots, wallMs, taking, losing }: Return): string[] | undefined {
  const newest = schema.migrations.at(-1)?.to ?? 0;
  const older = path + UNFINISHED;
  const name = basename(path);
  const form = formOf(path, schema);
  const isBegun = existsSync(older);
  if (form > 0 && form <= newest) {
    if (isBegun) putBack(older, name, schema, snapshots);
    return undefined;
  }
  if (form === 0 && !isBegun) return undefined;
  if (!isBegun) {
    const copy = bestOf(snapshots, path, schema, newest);
    if (copy === undefined) return undefined;
    renameSync(copy, older);
    syncFolder(dirname(path));
  }
  crashpoint("return.begun");
  const { records, notes } = form === 0 ? { records: 0, notes: [] } : bring(path, older, losing);
  crashpoint("return.carried");
  taking();
  const aside = setAside(path, wallMs);
  crashpoint("return.aside");
  renameSync(older, path);
  syncFolder(dirname(path));
  forgetOlder(aside);
  const what = `${name} had been changed by a newer version (form ${form}, this one knows ${newest}): the copy from before took its place, with ${records} records of the newer version, whose file is now ${basename(aside)}`;
  return [form === 0 ? `${name}: the copy from before an upgrade took its place` : what, ...notes];
}

/**
 * Of the copies that this version can read, that are whole and of this very log, the one of the newest form; of those
 * the last, as far as clocks were right.
 */
function bestOf(snapshots: readonly Snapshot[], path: string, schema: Schema, newest: number): string | undefined {
  const files = snapshots.map((one) => join(one.folder, basename(path)));
  const readable = files
    .map((file) => ({ file, form: formOf(file, schema) }))
    .filter(({ form }) => form > 0 && form <= newest)
    .sort((a, b) => b.form - a.form);
  return readable.find(({ file }) => isCopyOf(path, file))?.file;
}

/** Half a way back, and then the newer version was there again: the copy is still what the next way back begins with. */
function putBack(older: string, name: string, schema: Schema, snapshots: readonly Snapshot[]): void {
  const form = formOf(older, schema);
  const formIn = (one: Snapshot): number =>
    schema.applicationId === controlSchema.applicationId ? one.control : one.records;
  const from = snapshots.find((one) => formIn(one) === form && !existsSync(join(one.folder, name)));
  if (form > 0 && from !== undefined && !existsSync(`${older}-wal`)) {
    renameSync(older, join(from.folder, name));
    syncFolder(from.folder);
  }
  remove(older);
}

/** Whether a copy is whole, and the log in it the beginning of the newer one's: two logs never become one. */
function isCopyOf(newer: string, copy: string): boolean {
  const database = openForWriting(copy);
  try {
    return damageOf(database) === undefined && isBeginning(newer, database);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return false;
  } finally {
    database.close();
  }
}

function bring(newer: string, older: string, losing: () => void): { records: number; notes: readonly string[] } {
  const database = openForWriting(older);
  try {
    database.pragma("synchronous = FULL");
    return carryOver(newer, database, losing);
  } finally {
    // With it the newer file is closed too, and what lay in its WAL is in the file.
    database.close();
  }
}

/** What belongs to the file goes first: left beside another file of this name it would be taken for that one's. */
function setAside(path: string, wallMs: number): string {
  const aside = `${path}${NEWER}${Math.floor(wallMs)}`;
  for (const part of PARTS) if (existsSync(path + part)) renameSync(path + part, aside + part);
  syncFolder(dirname(path));
  return aside;
}

function remove(path: string): void {
  for (const part of PARTS) rmSync(path + part, { force: true });
}

/** Of the files of newer versions the last one stays. */
function forgetOlder(aside: string): void {
  const prefix = aside.slice(0, aside.lastIndexOf(NEWER) + NEWER.length);
  for (const name of readdirSync(dirname(aside))) {
    const path = join(dirname(aside), name);
    if (path.startsWith(prefix) && !path.startsWith(aside)) rmSync(path, { force: true });
  }
}
