import { closeSync, fsyncSync, openSync, statfsSync, statSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";

const CHUNK_BYTES = 65_536;

/**
 * A file that only takes room. On a full disk not even a delete succeeds, since it needs room in the WAL first: letting
 * the ballast go makes that room.
 */
export class Ballast {
  readonly #path: string;
  readonly #bytes: number;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
  }

  isThere(): boolean {
    return statSync(this.#path, { throwIfNoEntry: false })?.size === this.#bytes;
  }

  release(): boolean {
    if (statSync(this.#path, { throwIfNoEntry: false }) === undefined) return false;
    // Not rmSync: of a disk that became read-only it throws an error without a code.
    unlinkSync(this.#path);
    return true;
  }

  /** Takes the room again, when the disk has at least three times as much. */
  take(): boolean {
    if (this.#bytes === 0 || this.isThere()) return true;
    const disk = statfsSync(dirname(this.#path));
    if (disk.bavail * disk.bsize < 3 * this.#bytes) return false;
    try {
      this.#write();
      return true;
    } catch {
      // Somebody else took the room in between; tried again later.
      this.release();
      return false;
    }
  }

  #write(): void {
    const file = openSync(this.#path, "w", 0o640);
    try {
      // Written for real: a sparse file would hold no room.
      const chunk = Buffer.alloc(CHUNK_BYTES, 0x55);
      for (let at = 0; at < this.#bytes; at += CHUNK_BYTES)
        writeSync(file, chunk, 0, Math.min(CHUNK_BYTES, this.#bytes - at));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
}

export function fsyncFile(path: string): void {
  const file = openSync(path, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
