import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const KEEP = 2;
const PARTS = ["", "-wal", "-shm"] as const;

/** Sets a database aside under a name that says when; never deletes it, but keeps only the newest two. */
export function quarantine(path: string, wallMs: number): string {
  const aside = `${path}.corrupt-${wallMs}`;
  for (const part of PARTS) if (existsSync(path + part)) renameSync(path + part, aside + part);
  for (const old of setAside(path).slice(KEEP)) for (const part of PARTS) rmSync(old + part, { force: true });
  return aside;
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
