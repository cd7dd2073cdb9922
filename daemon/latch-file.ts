import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";

/** What the file says: whether effects may leave, since when, and on whose word. */
export interface LatchNote {
  readonly latched: boolean;
  readonly why: string;
  readonly by: string;
  /** Wall time, for people. */
  readonly at: number;
  /** Names this one stop: who releases it knows which. */
  readonly nonce: string;
}

export type LatchReading =
  | { readonly kind: "read"; readonly note: LatchNote }
  | { readonly kind: "missing" }
  | { readonly kind: "unreadable"; readonly reason: string }
  /** This process could not look just now; that says nothing about the file. */
  | { readonly kind: "blind"; readonly reason: string };

const BLOCK_BYTES = 512;
/** As JSON, so that a block holds everything whatever the letters are. */
const WHY_BYTES = 240;
const BY_BYTES = 80;
const NONCE = /^[0-9a-f]{16,32}$/;
const DAMAGED = "it is damaged";
const BLINDING = ["EMFILE", "ENFILE", "ENOMEM", "EINTR", "EAGAIN"];
// A pipe in its place must not hold the reader up, and a link leads to somebody else's file.
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const WRITE = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export function latchPath(directory: string): string {
  return join(directory, "latch");
}

/** Where the daemon writes the note that it obeys, once nothing can leave any more. */
export function acknowledgementPath(directory: string): string {
  return join(directory, "latch.ack");
}

/** The note with texts that fit, without control characters. */
export function fitting(note: LatchNote): LatchNote {
  return { ...note, why: cut(note.why, WHY_BYTES), by: cut(note.by, BY_BYTES) };
}

/** One block of a disk: a line of JSON with a sum over itself, padded with spaces. */
export function renderLatch(given: LatchNote): Buffer {
  const { latched, why, by, at, nonce } = fitting(given);
  const body = { v: 1, latched, why, by, at, nonce };
  const sum = createHash("sha256").update(JSON.stringify(body)).digest("hex").slice(0, 16);
  const line = Buffer.from(JSON.stringify({ ...body, sum }));
  const block = Buffer.alloc(BLOCK_BYTES, " ");
  line.copy(block);
  block[BLOCK_BYTES - 1] = 0x0a;
  return block;
}

/** Reads a block; undefined unless every byte is as it was written. */
export function parseLatch(block: Buffer): LatchNote | undefined {
  if (block.length !== BLOCK_BYTES) return undefined;
  let value: Partial<LatchNote> | null;
  try {
    value = JSON.parse(block.toString("utf8")) as Partial<LatchNote> | null;
  } catch {
    return undefined;
  }
  const { latched, why, by, at, nonce } = value ?? {};
  if (typeof latched !== "boolean" || typeof why !== "string" || typeof by !== "string") return undefined;
  if (typeof at !== "number" || typeof nonce !== "string" || !NONCE.test(nonce)) return undefined;
  const note = { latched, why, by, at, nonce };
  return renderLatch(note).equals(block) ? note : undefined;
}

/** Reads the file as it is now: by its path, since it may have been replaced. */
export function readLatch(path: string): LatchReading {
  let reading = readOnce(path);
  // A reader may see half of what another process is just writing.
  for (let again = 0; reading.kind === "unreadable" && reading.reason === DAMAGED && again < 3; again++)
    reading = readOnce(path);
  return reading;
}

function readOnce(path: string): LatchReading {
  let file: number | undefined;
  try {
    file = openSync(path, READ);
    const block = Buffer.alloc(BLOCK_BYTES + 1);
    const note = parseLatch(block.subarray(0, readSync(file, block, 0, block.length, 0)));
    return note === undefined ? { kind: "unreadable", reason: DAMAGED } : { kind: "read", note };
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { kind: "missing" };
    return { kind: BLINDING.includes(code) ? "blind" : "unreadable", reason: code };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * Overwrites the block in place: needs no room on a full disk, and is seen by every process at once. It lasts when
 * `syncLatch` is done.
 */
export function writeLatch(path: string, note: LatchNote): void {
  const file = openSync(path, WRITE, 0o640);
  try {
    const before = fstatSync(file);
    if (!before.isFile()) throw new TypeError(`${path} is no file`);
    const block = renderLatch(note);
    // In one piece, or readers find it damaged, which means latched.
    const written = writeSync(file, block, 0, BLOCK_BYTES, 0);
    if (written !== BLOCK_BYTES) throw new RangeError(`only ${written} bytes of ${path} were written`);
    if (before.size > BLOCK_BYTES) ftruncateSync(file, BLOCK_BYTES);
  } finally {
    closeSync(file);
  }
}

/** Waits until what was written lasts through a power cut. */
export async function syncLatch(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Writes it so that it lasts, its name too: for whoever is no daemon and has nothing else to do. */
export function writeLatchDurably(path: string, note: LatchNote): void {
  writeLatch(path, note);
  fsyncPath(path, "r+");
  fsyncPath(dirname(path), "r");
}

export function fsyncPath(path: string, flags: "r" | "r+"): void {
  const file = openSync(path, flags);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** As many letters as fit, never half of one. */
function cut(text: string, bytes: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would take six bytes each, and say nothing.
  const clean = Buffer.from(text.replaceAll(/[\u0000-\u001f\u007f]+/g, " ")).toString();
  if (jsonBytes(clean) <= bytes) return clean;
  let fits = "";
  for (const letter of clean) {
    if (jsonBytes(`${fits}${letter}…`) > bytes) break;
    fits += letter;
  }
  return `${fits}…`;
}

function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) - 2;
}
