import { readFileSync, writeFileSync } from "node:fs";
import { StoreError } from "./errors.ts";
import type { StoreFiles } from "./files.ts";
import { type Database, takeLock } from "./sqlite-writer.ts";

/** One daemon a data directory: taken for the writer's lifetime, or refused with the owner's process id. */
export function lockDirectory(files: StoreFiles): Database {
  const lock = takeLock(files.lock);
  if (lock === undefined) {
    const hint = "Stop the other daemon, or give this one a directory of its own with --data.";
    throw new StoreError("STORE_LOCKED", { directory: files.directory, pid: ownerOf(files) }, { hint });
  }
  try {
    writeFileSync(files.lockOwner, `${process.pid}\n`);
  } catch {
    // The number only helps people; a full disk must not keep the daemon from starting.
  }
  return lock;
}

function ownerOf(files: StoreFiles): number | undefined {
  try {
    return Number(readFileSync(files.lockOwner, "utf8")) || undefined;
  } catch {
    // Best effort: the lock itself says what matters.
    return undefined;
  }
}
