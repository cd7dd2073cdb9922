import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/**
 * A folder below another one, with these rights whatever the umask says. Made by root it belongs to whom the one above
 * belongs: `enroll` and `revoke` are run by people, and `serve` has to read and write there as its own user.
 */
export function makeFolder(path: string, mode: number): void {
  if (existsSync(path)) return;
  mkdirSync(path, { recursive: true });
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    fchmodSync(folder, mode);
    giveTo(folder, statSync(dirname(path)));
  } finally {
    closeSync(folder);
  }
}

/** By what is open, never by its name: whose folder it is could have put a link in its place, and would be given that. */
function giveTo(open: number, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  if (process.getuid?.() === 0) fchownSync(open, uid, gid);
}

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

/**
 * Writes a file, or another content into it: after a power cut it is the old one or the new one. One that was there keeps
 * its owner and its rights: who reads it, as the broker does, has to be able to go on.
 */
export function writeWhole(path: string, content: string | Uint8Array, mode = 0o640): void {
  const before = statSync(path, { throwIfNoEntry: false });
  renameSync(written(path, content, before === undefined ? mode : before.mode & 0o7777, before), path);
  syncFolder(dirname(path));
}

/** Names in a folder that end so; none where there is no folder. */
export function names(folder: string, ending: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .sort();
}

/** `owner`: of whom it is; left out, of whom the folder is. */
function written(path: string, content: string | Uint8Array, mode: number, owner = statSync(dirname(path))): string {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  const file = openSync(temporary, "wx", mode);
  try {
    const bytes = Buffer.from(content);
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    // Not as the umask has it.
    fchmodSync(file, mode);
    giveTo(file, owner);
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
