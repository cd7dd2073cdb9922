import { closeSync, openSync, readdirSync, rmSync, unlinkSync } from "node:fs";
import { basename, join } from "node:path";
import type { StoreFiles } from "./files.ts";

const PROBE = "probe.tmp";

/** Beginnings of files that a power cut kept from being put in their places: never in force, and each would stay for ever. */
export function sweepTemporaries(files: StoreFiles): string[] {
  const own = [files.position, files.key, files.publicKey, files.controlCopy].map((path) => basename(path));
  const isLeft = (name: string): boolean =>
    own.some((one) => name.startsWith(`${one}.`) && /^(\d+\.)?tmp$/.test(name.slice(one.length + 1)));
  // Whatever else lies there under such a name is not this program's.
  const entries = readdirSync(files.directory, { withFileTypes: true }).filter((entry) => entry.isFile());
  const left = entries.map(({ name }) => name).filter((name) => name === PROBE || isLeft(name));
  for (const name of left) rmSync(join(files.directory, name), { force: true });
  return left.map((name) => `${name} was left unfinished, and was removed`);
}

/** Tried by making a file: access(2) says nothing of a file system that gave up writing after an error. */
export function isReadOnlyDisk(directory: string): boolean {
  const path = join(directory, PROBE);
  try {
    closeSync(openSync(path, "w"));
    unlinkSync(path);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS";
  }
}
