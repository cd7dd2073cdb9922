import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Intent } from "../../sync/records.ts";
import { crashpoint } from "../crashpoint.ts";

const SLOTS = 16;
const SLOT_BYTES = 4096;
const CHECK_DIGITS = 16;

/**
 * Room on disk for a few intents, held since the first start: blocks that are written over in place, so that a full disk
 * does not keep the plant from being brought into its safe state, nor an effect from having its intent on disk first.
 */
export class Reserve {
  readonly #path: string;
  readonly #used = new Map<string, number>();
  #file: FileHandle | undefined;

  constructor(directory: string) {
    this.#path = join(directory, "reserve");
  }

  /** Opens it, or makes it; gives the intents that an earlier start left in it. Without room for it nothing is kept. */
  async start(): Promise<Intent[]> {
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o640);
    const bytes = Buffer.alloc(SLOTS * SLOT_BYTES);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    const left: Intent[] = [];
    for (let slot = 0; slot < SLOTS; slot++) {
      const intent = intentIn(bytes.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES));
      if (intent === undefined) continue;
      this.#used.set(intent.id, slot);
      left.push(intent);
    }
    if (await isWhole(file, bytesRead)) this.#file = file;
    else await file.close();
    return left;
  }

  /** Room is held for it. */
  get isThere(): boolean {
    return this.#file !== undefined;
  }

  async stop(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  get free(): number {
    return this.#file === undefined ? 0 : SLOTS - this.#used.size;
  }

  /** Writes an intent down. False when there is no room for it, or it could not be made durable. */
  async keep(intent: Intent): Promise<boolean> {
    const file = this.#file;
    const taken = new Set(this.#used.values());
    const slot = Array.from({ length: SLOTS }, (_, at) => at).find((at) => !taken.has(at));
    const block = blockOf(intent);
    if (file === undefined || slot === undefined || block === undefined) return false;
    this.#used.set(intent.id, slot);
    try {
      crashpoint("reserve.before");
      await file.write(block, 0, SLOT_BYTES, slot * SLOT_BYTES);
      await file.datasync();
      crashpoint("reserve.after");
      return true;
    } catch {
      // The disk itself fails: without an intent on it there is no effect.
      this.#used.delete(intent.id);
      return false;
    }
  }

  /** The log has the intent now. */
  async release(id: string): Promise<void> {
    const slot = this.#used.get(id);
    if (slot === undefined || this.#file === undefined) return;
    await this.#file.write(Buffer.alloc(SLOT_BYTES), 0, SLOT_BYTES, slot * SLOT_BYTES);
    this.#used.delete(id);
  }
}

/** Takes the room that it does not have yet. False: there is none. */
async function isWhole(file: FileHandle, bytes: number): Promise<boolean> {
  const missing = SLOTS * SLOT_BYTES - bytes;
  if (missing === 0) return true;
  try {
    const { bytesWritten } = await file.write(Buffer.alloc(missing), 0, missing, bytes);
    await file.sync();
    return bytesWritten === missing;
  } catch {
    // The disk is full; the next start tries again.
    return false;
  }
}

/** One block: a checksum, the line, zeros. Undefined for a line that is too long. */
function blockOf(intent: Intent): Buffer | undefined {
  const line = JSON.stringify(intent);
  const block = Buffer.alloc(SLOT_BYTES);
  if (CHECK_DIGITS + Buffer.byteLength(line) >= SLOT_BYTES) return undefined;
  block.write(checksum(line) + line);
  return block;
}

/** What a block holds; undefined where it is empty or was torn in the middle. */
function intentIn(block: Buffer): Intent | undefined {
  const end = block.indexOf(0);
  const text = block.toString("utf8", 0, end < 0 ? block.length : end);
  const line = text.slice(CHECK_DIGITS);
  return line !== "" && checksum(line) === text.slice(0, CHECK_DIGITS) ? (JSON.parse(line) as Intent) : undefined;
}

function checksum(line: string): string {
  return createHash("sha256").update(line).digest("hex").slice(0, CHECK_DIGITS);
}
