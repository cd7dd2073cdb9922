import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lchownSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { crashpoint } from "./crashpoint.ts";
import { BLOCK_BYTES, type LatchNote, type LatchReading, parseLatch, renderLatch } from "./latch-note.ts";
import { storeFiles } from "./store/files.ts";

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

/** Makes the blocks that are there from then on, whatever becomes of the disk: effects were never stopped. */
export function createLatch(directory: string, wallMs: number): void {
  const nonce = randomBytes(8).toString("hex");
  const note = { latched: false, why: "never stopped", by: "holdfast", at: wallMs, nonce };
  crashpoint("latch.create.before");
  writeLatchDurably(acknowledgementPath(directory), note);
  writeLatchDurably(latchPath(directory), note);
  crashpoint("latch.create.after");
}

/**
 * The same for a directory in which no daemon has written anything yet. Has to come before anything else is written: from
 * then on a file that is missing means latched, also where control.db is lost with it.
 */
export function createFirstLatch(directory: string, wallMs: number): void {
  const { control, controlCopy, records } = storeFiles(directory);
  const isUsed = [control, controlCopy, records, latchPath(directory)].some((path) => existsSync(path));
  if (!isUsed) createLatch(directory, wallMs);
}

/** Reads the file as it is now: by its path, since it may have been replaced. */
export function readLatch(path: string): LatchReading {
  return new LatchReader(path).read();
}

/** Looks at the file again and again. What says the same as at the last look is not taken apart anew. */
export class LatchReader {
  readonly #path: string;
  readonly #block = Buffer.alloc(BLOCK_BYTES + 1);
  readonly #known = Buffer.alloc(BLOCK_BYTES);
  #note: LatchNote | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  read(): LatchReading {
    let reading = this.#once();
    // A reader may see half of what another process is just writing.
    for (let again = 0; reading.kind === "unreadable" && reading.reason === DAMAGED && again < 3; again++)
      reading = this.#once();
    return reading;
  }

  #once(): LatchReading {
    let file: number | undefined;
    try {
      file = openSync(this.#path, READ);
      const note = this.#noteIn(this.#block.subarray(0, readSync(file, this.#block, 0, this.#block.length, 0)));
      return note === undefined ? { kind: "unreadable", reason: DAMAGED } : { kind: "read", note };
    } catch (error) {
      const { code = String(error) } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return { kind: "missing" };
      return { kind: BLINDING.includes(code) ? "blind" : "unreadable", reason: code };
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  #noteIn(block: Buffer): LatchNote | undefined {
    if (this.#note !== undefined && block.equals(this.#known)) return this.#note;
    this.#note = parseLatch(block);
    if (this.#note !== undefined) block.copy(this.#known);
    return this.#note;
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
  const folder = statSync(dirname(path));
  // Made by root, it would be one that the daemon can neither read nor release.
  if (process.geteuid?.() === 0) lchownSync(path, folder.uid, folder.gid);
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
