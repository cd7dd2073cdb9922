import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { acknowledgementPath, createLatch, latchPath, readLatch, writeLatchDurably } from "../latch-file.ts";
import { keptIn, type LatchNote, whatIsWrong } from "../latch-note.ts";
import { storeFiles } from "../store/files.ts";
import { controlMeta } from "../store/queries.ts";

/**
 * The stop that a start would find in a directory; undefined when effects may leave. As in a start, either the file or
 * control.db is enough, and what can not be read is a stop.
 */
export function latchIn(directory: string, wallMs: number): LatchNote | undefined {
  const files = storeFiles(directory);
  const reading = readLatch(latchPath(directory));
  const isUsed = [files.control, files.controlCopy, files.records].some((path) => existsSync(path));
  if (!isUsed && reading.kind === "missing") return undefined;
  if (reading.kind === "read" && reading.note.latched) return reading.note;
  const kept = [files.control, files.controlCopy].map(latchKeptIn).find((note) => note !== undefined);
  if (kept?.latched === true) return kept;
  if (reading.kind === "read") return undefined;
  const nonce = randomBytes(8).toString("hex");
  return { latched: true, why: whatIsWrong(reading), by: "holdfast", at: wallMs, nonce };
}

function latchKeptIn(controlPath: string): LatchNote | undefined {
  if (!existsSync(controlPath)) return undefined;
  try {
    return keptIn(controlMeta(controlPath)["latch"]);
  } catch {
    // A database that can not be read says nothing; a start would go on with its copy.
    return undefined;
  }
}

/**
 * Before the databases of a directory go away: what is stopped is stopped by the file too, which no restore touches.
 * The file is only ever written to stop; `also` is the stop in a backup.
 */
export function secureLatch(directory: string, also: LatchNote | undefined, wallMs: number): LatchNote | undefined {
  const path = latchPath(directory);
  const stop = latchIn(directory, wallMs) ?? also;
  const reading = readLatch(path);
  if (stop === undefined) {
    if (reading.kind === "missing") createLatch(directory, wallMs);
    return undefined;
  }
  if (reading.kind !== "read" || !reading.note.latched) writeLatchDurably(path, stop);
  return stop;
}

/** A person's explicit wish: effects may leave again. */
export function releaseByFile(directory: string, wallMs: number): void {
  const nonce = randomBytes(8).toString("hex");
  const note = { latched: false, why: "released by a factory reset", by: "holdfast", at: wallMs, nonce };
  writeLatchDurably(acknowledgementPath(directory), note);
  writeLatchDurably(latchPath(directory), note);
}
