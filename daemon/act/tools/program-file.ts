import { realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";

const WRITTEN_BY_ALL = 0o002;
const STICKY = 0o1000;
const EXECUTED = 0o111;

/** Why a program must not be run, or undefined. What everybody may change is not what the gateway's file names. */
export function programMistake(path: string): string | undefined {
  try {
    const real = realpathSync(path);
    const file = statSync(real);
    if (!file.isFile()) return "the program is not a file";
    if ((file.mode & EXECUTED) === 0) return "the program's file can not be executed";
    if ((file.mode & WRITTEN_BY_ALL) !== 0) return "the program may be changed by everyone";
    for (let folder = dirname(real); ; folder = dirname(folder)) {
      const { mode } = statSync(folder);
      // In a sticky folder, such as /tmp, only its owner may replace a file.
      if ((mode & WRITTEN_BY_ALL) !== 0 && (mode & STICKY) === 0) return "the program may be replaced by everyone";
      if (folder === dirname(folder)) return undefined;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR"
      ? "the program is not there"
      : `the program can not be used: ${code}`;
  }
}

/** Why a program can not run in a folder, or undefined. */
export function folderMistake(path: string): string | undefined {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isFolder ? undefined : "its working directory is not there";
}
