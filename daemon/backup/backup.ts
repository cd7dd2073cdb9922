import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { crashpoint } from "../crashpoint.ts";
import { syncFolder } from "../durable-file.ts";
import { DaemonError } from "../errors.ts";
import { latchPath, readLatch } from "../latch-file.ts";
import { keptIn } from "../latch-note.ts";
import { storeFiles } from "../store/files.ts";
import { controlMeta } from "../store/queries.ts";
import { controlSchema, recordsSchema } from "../store/schema.ts";
import { openForReading } from "../store/sqlite-reader.ts";
import { headsOf, lastEpoch, lastRecord } from "../store/tables/epoch.ts";
import { version } from "../version.ts";
import { digestOf, type Source, writeArchive } from "./archive.ts";
import { collectConfig, collectData } from "./collect.ts";
import { BackupError } from "./errors.ts";
import { type LogHead, type Manifest, manifestOf } from "./manifest.ts";
import { assertRoom, sizeOf } from "./room.ts";
import { snapshotDatabases } from "./snapshot.ts";
import { JOURNAL } from "./unsettled.ts";

export interface BackupOptions {
  readonly dataDirectory: string;
  /** The gateway's file; undefined: the backup has no configuration. */
  readonly config: string | undefined;
  readonly gateway: string;
  readonly to: string;
  readonly withKeys: boolean;
  readonly overwrite: boolean;
  readonly wallMs: number;
  readonly stop: AbortSignal;
  readonly progress: (doneBytes: number, share: number) => void;
}

/** Of the whole work, what the copying of the databases is. */
const COPYING = 0.3;

/**
 * Writes a gateway's state into one file, whether its daemon runs or not. The file appears whole under its name, or not
 * at all; until then everything lies in a folder beside it.
 */
export async function makeBackup(
  options: BackupOptions,
): Promise<{ readonly bytes: number; readonly manifest: Manifest }> {
  const { dataDirectory, to, stop, progress } = options;
  const files = storeFiles(dataDirectory);
  if (!existsSync(files.records)) {
    const hint = "Name the daemon's data directory with --data.";
    throw new DaemonError("NO_DATA", { directory: dataDirectory }, { hint });
  }
  assertFree(options);
  const before = identityOf(dataDirectory);
  const parent = dirname(to);
  removeLeft(parent, basename(to));
  const data = collectData(dataDirectory, options.withKeys);
  const databases = sizeOf(files.records) + sizeOf(`${files.records}-wal`) + sizeOf(files.control);
  const others = data.sources.reduce(
    (sum, { from }) => sum + (typeof from === "string" ? sizeOf(from) : from.length),
    0,
  );
  assertRoom(parent, 2 * databases + others, "Make room, or write the backup to another disk.");
  const work = join(parent, `.${basename(to)}.partial-${process.pid}`);
  mkdirSync(work, { mode: 0o700 });
  try {
    const share = (part: number): void => progress(Math.round(part * databases), part * COPYING);
    const copies = await snapshotDatabases(dataDirectory, work, { stop, progress: share });
    const sources: Source[] = [
      ...copies.map((path) => ({ path: `data/${basename(path)}`, from: path })),
      ...data.sources,
      ...collectConfig(options.config),
    ];
    const manifest = await manifestFor(options, sources, data.links, work);
    const total = manifest.files.reduce((sum, { bytes }) => sum + bytes, 0);
    const archive = join(work, "archive");
    await writeArchive(archive, manifest, sources, {
      stop,
      progress: (bytes) => progress(bytes, COPYING + (1 - COPYING) * (bytes / total)),
    });
    crashpoint("backup.written");
    if (identityOf(dataDirectory) !== before) throw beingReplaced(dataDirectory);
    assertFree(options);
    renameSync(archive, to);
    syncFolder(parent);
    return { bytes: sizeOf(to), manifest };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Which files the databases are, so that none comes from before a restore with one from after it. */
function identityOf(dataDirectory: string): string {
  if (existsSync(join(dataDirectory, JOURNAL))) throw beingReplaced(dataDirectory);
  const { records, control } = storeFiles(dataDirectory);
  return [records, control].map((path) => statSync(path, { throwIfNoEntry: false })?.ino ?? 0).join(" ");
}

function beingReplaced(directory: string): BackupError {
  const hint = "A restore or a reset is under way, or was cut short: the next start finishes it. Then make the backup.";
  return new BackupError("BACKUP_CHANGED", { directory }, { hint });
}

function assertFree({ to, overwrite }: BackupOptions): void {
  if (!overwrite && existsSync(to))
    throw new BackupError("BACKUP_EXISTS", { file: to }, { hint: "Name another file, or overwrite it with --force." });
}

/** What a backup that was killed left beside the file of this name. */
function removeLeft(parent: string, name: string): void {
  const prefix = `.${name}.partial-`;
  for (const left of readdirSync(parent)) {
    if (!left.startsWith(prefix) || isAlive(Number(left.slice(prefix.length)))) continue;
    // In a folder that others write to as well, such as /tmp: theirs is not touched.
    if (lstatSync(join(parent, left)).uid !== process.geteuid?.()) continue;
    rmSync(join(parent, left), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function manifestFor(
  { dataDirectory, gateway, config, withKeys, wallMs }: BackupOptions,
  sources: readonly Source[],
  links: Manifest["links"],
  work: string,
): Promise<Manifest> {
  const files: Manifest["files"][number][] = [];
  for (const { path, from, within } of sources) files.push({ path, ...(await digestOf(from, within)) });
  const hasConfig = files.some(({ path }) => path.startsWith("config/"));
  return manifestOf({
    ...{ holdfast: version(), gateway, createdAt: Math.floor(wallMs), hasKeys: withKeys },
    forms: {
      records: formOf(join(work, "records.db"), recordsSchema),
      control: formOf(join(work, "control.db"), controlSchema),
    },
    latched: isLatchedIn(dataDirectory, join(work, "control.db")),
    head: headOf(join(work, "records.db")),
    config: hasConfig && config !== undefined ? basename(config) : null,
    ...{ files, links },
  });
}

/** As a start would find it: what can not be read is latched. */
export function isLatchedIn(dataDirectory: string, controlPath: string): boolean {
  const reading = readLatch(latchPath(dataDirectory));
  const kept = existsSync(controlPath) ? keptIn(controlMeta(controlPath)["latch"]) : undefined;
  return reading.kind !== "read" || reading.note.latched || kept?.latched === true;
}

function formOf(path: string, schema: typeof recordsSchema): number {
  const database = openForReading(path, schema);
  try {
    return Number(database.pragma("user_version", { simple: true }));
  } finally {
    database.close();
  }
}

export function headOf(recordsPath: string): LogHead {
  const database = openForReading(recordsPath, recordsSchema);
  try {
    const [epoch, last] = [lastEpoch(database), lastRecord(database)];
    const ordinal = epoch?.ordinal ?? 0;
    return { ordinal, epoch: epoch?.id ?? "", n: last?.n ?? 0, streams: headsOf(database, ordinal) };
  } finally {
    database.close();
  }
}
