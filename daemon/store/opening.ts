import { randomBytes } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { StartReason } from "../../sync/kinds.ts";
import type { Gap, StreamHead } from "../../sync/records.ts";
import type { Signer } from "../../sync/signing.ts";
import { writeDurably } from "../durable-file.ts";
import { ControlStore, copyControl } from "./control-store.ts";
import { startReason } from "./discontinuity.ts";
import { StoreError } from "./errors.ts";
import { type StoreFiles, storeFiles } from "./files.ts";
import { type OpenedKey, openKey } from "./gateway-key.ts";
import { lockDirectory } from "./lock.ts";
import type { WriterStart } from "./messages.ts";
import type { Schema } from "./migrations.ts";
import { openRecords } from "./open-records.ts";
import { type Position, readPosition, setUnreadableAside } from "./position.ts";
import { finishQuarantine, isSetAside } from "./quarantine.ts";
import { type Salvaged, salvage, salvagedFrom } from "./salvage.ts";
import { controlSchema, recordsSchema } from "./schema.ts";
import type { Database } from "./sqlite-writer.ts";
import { headsOf, lastEpoch, lastRecord } from "./tables/epoch.ts";
import { sweepTemporaries } from "./temporaries.ts";
import { returnToOlder, UNFINISHED } from "./versions/return.ts";
import { snapshotBeforeUpgrade, snapshotsIn } from "./versions/snapshot.ts";

/** Everything that is known before the new epoch's first record is written. */
export interface Opening {
  readonly files: StoreFiles;
  readonly lock: Database;
  readonly control: ControlStore;
  readonly database: Database;
  readonly id: string;
  readonly ordinal: number;
  readonly previous: string | undefined;
  readonly previousHeads: StreamHead[];
  readonly reason: StartReason;
  readonly gap: Gap | undefined;
  readonly lastN: number;
  readonly notes: string[];
  readonly salvaged: Salvaged | undefined;
  /** Records may have stayed behind in a file from which the log was taken over. */
  readonly hasHoles: boolean;
  /** With it the log is signed; undefined when there is no key and none could be written. */
  readonly signer: Signer | undefined;
}

/** Takes the directory, opens both databases, and finds out what happened since the last time. */
export function openStore(start: WriterStart): Opening {
  const files = storeFiles(start.directory);
  makeDirectory(files.directory);
  for (const path of [files.directory, files.lock, files.control, files.records]) assertAllowed(path);
  const lock = lockDirectory(files);
  let control: ControlStore | undefined;
  try {
    const notes = changeForms(files, start.wallMs);
    control = new ControlStore(files, start.wallMs);
    control.notes.push(...notes);
    return openLog(start, files, lock, control);
  } catch (error) {
    control?.close();
    lock.close();
    throw error;
  }
}

const NOTHING = (): void => undefined;
/** In the mark of a log that went back, when records stayed behind. */
const INCOMPLETE = "incomplete\n";

/** After the program was changed: the way back to an older form of the databases, or a copy before they get a newer one. */
function changeForms(files: StoreFiles, wallMs: number): string[] {
  const snapshots = snapshotsIn(files);
  const back = (path: string, schema: Schema, taking: () => void, losing: () => void): string[] =>
    returnToOlder({ path, schema, snapshots, wallMs, taking, losing }) ?? [];
  const notes = [
    // Its copy would be of the newer form still, and of no use to this version.
    ...back(files.control, controlSchema, () => copyControl(`${files.control}${UNFINISHED}`, files), NOTHING),
    ...back(
      files.records,
      recordsSchema,
      () => existsSync(files.wentBack) || writeDurably(files.wentBack, ""),
      () => writeDurably(files.wentBack, INCOMPLETE),
    ),
  ];
  const copied = snapshotBeforeUpgrade(files, wallMs);
  if (copied !== undefined)
    notes.push(`this version changes the form of the databases: before, they were copied to ${copied}`);
  return notes;
}

function openLog(start: WriterStart, files: StoreFiles, lock: Database, control: ControlStore): Opening {
  const meta = control.state().meta;
  const notes = sweepTemporaries(files);
  const torn = setUnreadableAside(files.position, start.wallMs);
  if (torn !== undefined) notes.push(`position.json could not be read and was set aside as ${basename(torn)}`);
  const position = readPosition(files.position);
  if (torn === undefined && position === undefined && meta.ordinal !== undefined)
    notes.push("position.json was missing");
  const known = knownPosition(position, Number(meta.ordinal ?? 0));
  const interrupted = interruptedSalvage(files, meta.salvaging ?? "");
  const opened = openRecords(files, {
    wallMs: start.wallMs,
    wasKnown: known !== undefined,
    isSuspect: meta.suspect === "yes",
    needed: interrupted,
    announce: (aside) =>
      control.change({ kind: "meta", name: "salvaging", value: [aside, ...interrupted].join(ASIDE_SEPARATOR) }),
  });
  const { database } = opened;
  if (meta.suspect === "yes") control.change({ kind: "meta", name: "suspect", value: "" });
  const asides = [...(opened.aside === undefined ? [] : [opened.aside]), ...interrupted];
  if (asides.length === 0 && (meta.salvaging ?? "") !== "")
    control.change({ kind: "meta", name: "salvaging", value: "" });
  const salvaged = asides.length === 0 ? undefined : salvage(asides, database, opened.notes);
  const previous = lastEpoch(database);
  const last = lastRecord(database);
  const reason = startReason({
    previous,
    lastN: last?.n ?? 0,
    known,
    quarantined: salvaged !== undefined,
    wentBack: existsSync(files.wentBack),
    bootId: start.bootId,
    fingerprint: start.fingerprint,
  });
  const key = gatewayKey(files, control, start.wallMs);
  const ordinal = Math.max(previous?.ordinal ?? 0, known?.ordinal ?? 0) + 1;
  return {
    files,
    lock,
    control,
    database,
    id: randomBytes(8).toString("hex"),
    ordinal,
    previous: previous?.id ?? (position?.epoch || undefined),
    previousHeads: previous === undefined ? [] : headsOf(database, previous.ordinal),
    reason,
    gap: gapOf(reason, last?.wallMs, position?.wallMs, start.wallMs),
    lastN: Math.max(last?.n ?? 0, known?.n ?? 0),
    notes: [...control.notes, ...notes, ...opened.notes, ...key.notes],
    salvaged,
    hasHoles: salvaged !== undefined || isIncomplete(files.wentBack),
    signer: key.signer,
  };
}

const ASIDE_SEPARATOR = "\n";

/**
 * What was set aside and not copied to its end before the power went. What had been copied is less than what it can be
 * copied from, and goes; but not where the log went on after it.
 */
function interruptedSalvage(files: StoreFiles, noted: string): string[] {
  const asides = noted.split(ASIDE_SEPARATOR).map((path) => join(files.directory, basename(path)));
  for (const aside of asides) if (noted !== "") finishQuarantine(files.records, aside);
  const there = noted === "" ? [] : asides.filter(isSetAside);
  if (there.length === 0) return [];
  const source = salvagedFrom(files.records);
  if (source === undefined) return there;
  if (there.some((aside) => basename(aside) === source)) return [];
  removeDatabase(files.records);
  return there;
}

const KEY_NAME = "gatewayKey";

/** control.db keeps the key's name, so that a key that is gone or another is told. */
function gatewayKey(files: StoreFiles, control: ControlStore, wallMs: number): OpenedKey {
  const known = control.state().meta[KEY_NAME];
  const opened = openKey(files, known, wallMs);
  const name = opened.signer?.key;
  if (name !== undefined && name !== known) control.change({ kind: "meta", name: KEY_NAME, value: name });
  return opened;
}

function isIncomplete(wentBack: string): boolean {
  return existsSync(wentBack) && readFileSync(wentBack, "utf8") === INCOMPLETE;
}

function removeDatabase(path: string): void {
  for (const part of ["", "-wal", "-shm"]) rmSync(path + part, { force: true });
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o750 });
  } catch (cause) {
    throw new StoreError("STORE_UNUSABLE", { directory: path }, { cause });
  }
}

/** What may not be read or written is no damage, and waiting does not help: a person has to change it. */
function assertAllowed(path: string): void {
  if (!existsSync(path)) return;
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    // May pass: SQLite says it too, and then it is waited for.
    if (reason === "EROFS") return;
    const hint = "The user that runs Holdfast must be allowed to read and write it.";
    throw new StoreError("STORE_UNUSABLE", { file: path, reason }, { cause, hint });
  }
}

function knownPosition(
  position: Position | undefined,
  controlOrdinal: number,
): { ordinal: number; n: number } | undefined {
  if (position !== undefined && position.ordinal >= controlOrdinal) return { ordinal: position.ordinal, n: position.n };
  return controlOrdinal === 0 ? undefined : { ordinal: controlOrdinal, n: position?.n ?? 0 };
}

/** The time of which nothing is known: from the last thing that is on disk until now. */
function gapOf(
  reason: StartReason,
  lastMs: number | undefined,
  positionMs: number | undefined,
  nowMs: number,
): Gap | undefined {
  if (reason === "first" || reason === "clean") return undefined;
  const isBehind = reason === "restored" || reason === "truncated" || reason === "recovered";
  const newest = isBehind ? (lastMs ?? positionMs) : Math.max(lastMs ?? 0, positionMs ?? 0);
  const from = Math.floor(Math.min(newest ?? nowMs, nowMs));
  return { from, to: Math.floor(nowMs), reason };
}
