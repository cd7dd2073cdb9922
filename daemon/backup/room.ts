import { statfsSync, statSync } from "node:fs";
import { BackupError } from "./errors.ts";

/** What is to stay free besides. */
const SPARE_BYTES = 16_777_216;

/** Throws BACKUP_NO_ROOM where a folder's disk has not so many bytes to spare. */
export function assertRoom(folder: string, bytes: number, hint: string): void {
  const { bavail, bsize } = statfsSync(folder);
  const [needed, free] = [bytes + SPARE_BYTES, bavail * bsize];
  if (free < needed)
    throw new BackupError("BACKUP_NO_ROOM", { folder, neededBytes: needed, freeBytes: free }, { hint });
}

/** The size of a file, 0 when there is none. */
export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
