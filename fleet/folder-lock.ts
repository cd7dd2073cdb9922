import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Sqlite from "better-sqlite3";
import { FleetError } from "./errors.ts";

/** One that is about to end is waited for. */
const PATIENCE_MS = 3000;

/**
 * Takes the folder of an embedded database for this process; two that had it open would ruin it, and the database itself
 * does not mind. The kernel lets the lock go however the process ends. Throws FLEET_BUSY when another one has it.
 */
export function lockFolder(folder: string): { release(): void } {
  mkdirSync(dirname(folder), { recursive: true, mode: 0o700 });
  const lock = new Sqlite(`${folder}.lock`, { timeout: PATIENCE_MS });
  try {
    lock.pragma("journal_mode = MEMORY");
    lock.exec("BEGIN EXCLUSIVE");
    return { release: () => void lock.close() };
  } catch (error) {
    lock.close();
    if (!String((error as { code?: unknown }).code).startsWith("SQLITE_BUSY")) throw error;
    const hint = "Another collector or command has it open: wait until it ends, or ask the collector that runs.";
    throw new FleetError("FLEET_BUSY", { folder }, { hint });
  }
}
