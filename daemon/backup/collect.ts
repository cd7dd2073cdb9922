import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { filesBeside } from "../../config/files.ts";
import type { Source } from "./archive.ts";
import type { ArchivedLink } from "./manifest.ts";
import { isArchivedLink, isIdentity, isKept } from "./names.ts";
import { atOnceAsOwnerOf } from "./owner.ts";

/** Smaller ones are held in memory, so that what is summed up is what is written. */
const HELD_BYTES = 1_048_576;

export interface Collected {
  readonly sources: readonly Source[];
  readonly links: readonly ArchivedLink[];
}

/**
 * What goes into a backup besides the databases. To be read before they are copied: the position is then never ahead of
 * the log. Links are taken by their target, and only those between certificates. By root it is read as its owner: no link
 * that is put there meanwhile leads to a file that this one may not read.
 */
export function collectData(dataDirectory: string, withKeys: boolean): Collected {
  return atOnceAsOwnerOf(dataDirectory, () => collect(dataDirectory, withKeys));
}

function collect(dataDirectory: string, withKeys: boolean): Collected {
  const sources: Source[] = [];
  const links: ArchivedLink[] = [];
  const visit = (path: string): void => {
    const full = join(dataDirectory, path);
    const stat = lstatSync(full, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) for (const name of readdirSync(full).sort()) visit(`${path}/${name}`);
    else if (stat?.isSymbolicLink() === true) {
      const link = { path: `data/${path}`, target: readlinkSync(full) };
      if (isArchivedLink(link.path, link.target)) links.push(link);
    } else if (stat?.isFile() === true && isKept(path))
      sources.push({
        path: `data/${path}`,
        from: stat.size > HELD_BYTES ? full : readFileSync(full),
        within: dataDirectory,
      });
  };
  const wanted = (name: string): boolean => {
    if (isIdentity(name)) return withKeys || name.startsWith("gateway.pub");
    return ["position.json", "latch", "last-good", "models"].includes(name);
  };
  for (const name of readdirSync(dataDirectory).sort()) if (wanted(name)) visit(name);
  return { sources, links };
}

/** The gateway's files as they are, whether they load or not. */
export function collectConfig(file: string | undefined): Source[] {
  if (file === undefined || !existsSync(file)) return [];
  return filesBeside(file).map(({ name, path }) => ({ path: `config/${path}`, from: readFileSync(name) }));
}
