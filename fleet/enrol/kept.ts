import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** Writes a file that stays as it is: false where there is one already. Whole or not at all, also after a power cut. */
export function writeOnce(path: string, content: string, mode = 0o640): boolean {
  const temporary = written(path, content, mode);
  try {
    // Unlike a rename, this fails where somebody else was first: two processes may sign at one time.
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
    syncFolder(dirname(path));
  }
}

/** Writes a file, or another content into it: after a power cut it is the old one or the new one. */
export function writeWhole(path: string, content: string, mode = 0o640): void {
  renameSync(written(path, content, mode), path);
  syncFolder(dirname(path));
}

/** Names in a folder that end so; none where there is no folder. */
export function names(folder: string, ending: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .sort();
}

function written(path: string, content: string, mode: number): string {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  const file = openSync(temporary, "wx", mode);
  try {
    const bytes = Buffer.from(content);
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return temporary;
}

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
