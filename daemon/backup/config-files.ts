import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { filesBeside } from "../../config/files.ts";
import { syncFolder, writeDurably } from "../durable-file.ts";
import type { ConfigFile } from "./restore.ts";

/**
 * Puts other files in the place of a gateway's configuration. Each of the old ones stays beside it under a name that is
 * not read. Gives the names of those that were kept.
 */
export function replaceConfig(main: string, files: readonly ConfigFile[], suffix: string): string[] {
  const folder = dirname(main);
  const kept: string[] = [];
  const owner = existsSync(main) ? statSync(main) : undefined;
  const wanted = files.map(({ path, bytes }) => ({ path: path.includes("/") ? path : basename(main), bytes }));
  const old = existsSync(main) ? filesBeside(main) : [];
  for (const { path, bytes } of wanted) {
    const to = join(folder, path);
    mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
    // The copy first: at every moment there is a whole file of this name.
    if (existsSync(to)) kept.push(copyBeside(to, suffix));
    writeDurably(to, bytes, owner === undefined ? 0o640 : owner.mode & 0o777);
    if (owner !== undefined && process.geteuid?.() === 0) chownSync(to, owner.uid, owner.gid);
  }
  for (const { path, name } of old) {
    if (wanted.some((file) => file.path === path)) continue;
    renameSync(name, `${name}.${suffix}`);
    kept.push(`${name}.${suffix}`);
    syncFolder(dirname(name));
  }
  return kept;
}

function copyBeside(path: string, suffix: string): string {
  const copy = `${path}.${suffix}`;
  const { uid, gid, mode } = statSync(path);
  writeDurably(copy, readFileSync(path), mode & 0o777);
  if (process.geteuid?.() === 0) chownSync(copy, uid, gid);
  return copy;
}
