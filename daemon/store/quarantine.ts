import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { crashpoint } from "../crashpoint.ts";
import { syncFolder } from "../durable-file.ts";

const KEEP = 2;
/** The file itself first: as long as it is in its place, nothing was begun. */
const PARTS = ["", "-wal", "-shm"] as const;

/** Under which name a database is set aside. */
export function asideName(path: string, wallMs: number): string {
  return `${path}.corrupt-${wallMs}`;
}

/**
 * Sets a database aside under a name that says when. Of the others only one stays, the newest by its name, and each of
 * `needed`: the clock may have been set back, so the names do not tell what is still to be saved.
 */
export function quarantine(path: string, aside: string, needed: readonly string[] = []): void {
  moveAside(path, aside);
  const others = setAside(path).filter((one) => one !== aside);
  for (const old of others.slice(KEEP - 1))
    if (!needed.includes(old)) for (const part of PARTS) rmSync(old + part, { force: true });
}

/** Goes on where a power cut ended it: what is left in the old place belongs to what was moved already. */
export function finishQuarantine(path: string, aside: string): void {
  if (isSetAside(aside) && !existsSync(path)) moveAside(path, aside);
}

/** Whether anything lies there. */
export function isSetAside(aside: string): boolean {
  return PARTS.some((part) => existsSync(aside + part));
}

/** What was set aside before, newest first. */
export function setAside(path: string): string[] {
  const prefix = `${basename(path)}.corrupt-`;
  const timeOf = (name: string): number => Number(name.slice(prefix.length));
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .sort((a, b) => timeOf(b) - timeOf(a))
    .map((name) => join(dirname(path), name));
}

function moveAside(path: string, aside: string): void {
  for (const part of PARTS) {
    if (existsSync(path + part) && !existsSync(aside + part)) renameSync(path + part, aside + part);
    crashpoint(`quarantine.moved${part}`);
  }
  syncFolder(dirname(path));
}
