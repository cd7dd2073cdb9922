import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { basename, join } from "node:path";
import { crashpoint } from "../../crashpoint.ts";
import { syncFolder, writeDurably } from "../../durable-file.ts";
import { fsyncFile } from "../ballast.ts";
import { StoreError } from "../errors.ts";
import type { StoreFiles } from "../files.ts";
import type { Schema } from "../migrations.ts";
import { controlSchema, recordsSchema } from "../schema.ts";
import { openForWriting } from "../sqlite-writer.ts";

const FOLDER = "upgrade";
const KEEP = 2;
const ABOUT = "about.json";
const SPARE_BYTES = 33_554_432;
/** In the first 100 bytes of every database: https://www.sqlite.org/fileformat.html, 1.3. */
const HEADER = { bytes: 100, magic: "SQLite format 3\0", userVersionAt: 60, applicationIdAt: 68 };

/** The numbers of both databases' forms: 0 for a file that is not there. */
export interface Forms {
  readonly records: number;
  readonly control: number;
}

/** What lies in the folder of a copy. */
export interface Snapshot extends Forms {
  readonly folder: string;
  readonly madeAtMs: number;
}

export const newestForms: Forms = { records: newest(recordsSchema), control: newest(controlSchema) };

export interface Bounds {
  /** The forms that this version makes. */
  readonly known: Forms;
  /** What is to be free besides. */
  readonly spareBytes: number;
}

export function formsOf(files: StoreFiles): Forms {
  return { records: formOf(files.records, recordsSchema), control: formOf(files.control, controlSchema) };
}

/**
 * Copies both databases before this version changes the form of one of them, so that the version before has a way back.
 * Nobody else may have them open. Gives the copy's folder; undefined when nothing is going to be changed. Throws
 * STORE_NO_ROOM, and then nothing was changed.
 */
export function snapshotBeforeUpgrade(
  files: StoreFiles,
  wallMs: number,
  { known, spareBytes }: Bounds = { known: newestForms, spareBytes: SPARE_BYTES },
): string | undefined {
  const forms = formsOf(files);
  const isOlder = (name: keyof Forms): boolean => forms[name] > 0 && forms[name] < known[name];
  if (!isOlder("records") && !isOlder("control")) return undefined;
  const paths = [files.records, files.control].filter((path) => existsSync(path));
  for (const path of paths) settleJournal(path);
  const parent = join(files.directory, FOLDER);
  const fresh = join(parent, "unfinished");
  rmSync(fresh, { recursive: true, force: true });
  assertRoom(files.directory, paths, spareBytes);
  mkdirSync(fresh, { recursive: true, mode: 0o750 });
  for (const path of paths) copyDurably(path, join(fresh, basename(path)));
  writeDurably(join(fresh, ABOUT), `${JSON.stringify({ ...forms, madeAtMs: Math.floor(wallMs) })}\n`);
  crashpoint("snapshot.copied");
  const folder = join(parent, `form-${forms.records}-${forms.control}-${Math.floor(wallMs)}`);
  renameSync(fresh, folder);
  syncFolder(parent);
  crashpoint("snapshot.made");
  for (const old of outdated(snapshotsIn(files), folder)) rmSync(old.folder, { recursive: true, force: true });
  return folder;
}

/** The copies that are whole, newest first. */
export function snapshotsIn(files: StoreFiles): Snapshot[] {
  const parent = join(files.directory, FOLDER);
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .flatMap((name) => {
      const folder = join(parent, name);
      const about = name === "unfinished" ? undefined : readAbout(join(folder, ABOUT));
      return about === undefined ? [] : [{ folder, ...about }];
    })
    .sort((a, b) => b.madeAtMs - a.madeAtMs);
}

/** A copy that does not tell of itself is none: it keeps nobody from starting. */
function readAbout(path: string): Omit<Snapshot, "folder"> | undefined {
  try {
    const { records, control, madeAtMs } = JSON.parse(readFileSync(path, "utf8")) as Partial<Snapshot>;
    const isWhole = [records, control, madeAtMs].every((value) => typeof value === "number");
    return isWhole ? ({ records, control, madeAtMs } as Omit<Snapshot, "folder">) : undefined;
  } catch {
    return undefined;
  }
}

/** One of the same form that is older is of no more use; of the others the newest stay. */
function outdated(all: readonly Snapshot[], newFolder: string): Snapshot[] {
  const [made, ...rest] = [...all].sort((a, b) => Number(b.folder === newFolder) - Number(a.folder === newFolder));
  const isSame = (one: Snapshot): boolean => one.records === made?.records && one.control === made.control;
  return [...rest.filter(isSame), ...rest.filter((one) => !isSame(one)).slice(KEEP - 1)];
}

function newest(schema: Schema): number {
  return schema.migrations.at(-1)?.to ?? 0;
}

/** 0 for what is not there, is damaged, or is another program's: that is the opening's matter, not this one's. */
export function formOf(path: string, schema: Schema): number {
  const inHeader = formInHeader(path, schema);
  // Opening a file plays its journals back: only where the number may lie in one, and not where it may be damaged.
  if (inHeader === 0 || !existsSync(`${path}-wal`)) return inHeader;
  const database = openForWriting(path);
  try {
    return Number(database.pragma("user_version", { simple: true }));
  } catch {
    return 0;
  } finally {
    database.close();
  }
}

function formInHeader(path: string, schema: Schema): number {
  if (!existsSync(path)) return 0;
  const header = Buffer.alloc(HEADER.bytes);
  const file = openSync(path, "r");
  try {
    if (readSync(file, header, 0, HEADER.bytes, 0) < HEADER.bytes) return 0;
  } finally {
    closeSync(file);
  }
  const isOurs =
    header.toString("latin1", 0, HEADER.magic.length) === HEADER.magic &&
    header.readUInt32BE(HEADER.applicationIdAt) === schema.applicationId;
  return isOurs ? header.readUInt32BE(HEADER.userVersionAt) : 0;
}

/** What lies in a WAL or in a hot journal comes into the file itself; a damaged file stays as it is. */
function settleJournal(path: string): void {
  const database = openForWriting(path);
  try {
    database.pragma("wal_checkpoint(TRUNCATE)");
  } catch {
    // The opening that follows finds out what is wrong with it, and sets it aside.
  } finally {
    database.close();
  }
}

function assertRoom(directory: string, paths: readonly string[], spareBytes: number): void {
  const needed = paths.reduce((sum, path) => sum + statSync(path).size, spareBytes);
  const { bavail, bsize } = statfsSync(directory);
  const free = bavail * bsize;
  if (free >= needed) return;
  const hint =
    "This version changes the form of the database, and copies it before. Make room, or install the version before, which goes on with it as it is.";
  throw new StoreError("STORE_NO_ROOM", { directory, neededBytes: needed, freeBytes: free }, { hint });
}

function copyDurably(from: string, to: string): void {
  // At once, and without room of its own, where the file system shares blocks.
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  fsyncFile(to);
}
