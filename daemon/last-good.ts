import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Environment } from "../config/environment.ts";
import type { LoadedConfig } from "../config/load.ts";
import { syncFolder, writeDurably } from "./durable-file.ts";

/** Where the copy of the last configuration that worked is kept. */
const FOLDER = "last-good";
const ORIGIN = "origin.json";

/**
 * Keeps a copy of the files of a configuration that started. With `run --last-good` a typo and a power cut together
 * mean this copy, loudly, and not a gateway that can not be reached.
 */
export function rememberLastGood(dataDirectory: string, loaded: LoadedConfig): void {
  const folder = join(dataDirectory, FOLDER);
  const fresh = `${folder}.new`;
  if (!existsSync(folder) && copyIn(fresh) !== undefined) renameSync(fresh, folder);
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  for (const file of loaded.files) {
    mkdirSync(dirname(join(fresh, file.path)), { recursive: true });
    writeDurably(join(fresh, file.path), file.bytes);
  }
  writeDurably(
    join(fresh, ORIGIN),
    JSON.stringify({ main: loaded.files[0]?.path, baseDirectory: loaded.baseDirectory }),
  );
  syncFolder(fresh);
  const old = `${folder}.old`;
  if (existsSync(folder)) {
    rmSync(old, { recursive: true, force: true });
    renameSync(folder, old);
  }
  renameSync(fresh, folder);
  // Before the older one goes, this one has to be there under its name.
  syncFolder(dataDirectory);
  rmSync(old, { recursive: true, force: true });
}

/** Where the package puts what it installs. */
const PACKAGE = { configuration: "/etc/holdfast", data: "/var/lib/holdfast" };

/** `store: { directory: … }` in one line, or as a block. */
const DIRECTORY = /^store:[ \t]*(?:\{[^}\n]*?|\n(?:[ \t].*\n|\n)*?[ \t]+)directory:[ \t]*["']?([^"',}\n#]+)/m;

/**
 * Where a configuration with mistakes keeps its data, as far as its text tells: it may not even be YAML, and the mistake
 * is most likely somewhere else. Where it tells nothing, it is where the package's own file keeps them.
 */
export function likelyDataDirectory(file: string, environment: Environment): string {
  const named = environment["HOLDFAST__STORE__DIRECTORY"] ?? DIRECTORY.exec(textOf(file))?.[1]?.trim();
  const folder = dirname(resolve(file));
  return resolve(folder, named ?? (folder === PACKAGE.configuration ? PACKAGE.data : ".holdfast"));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // Not there, or not ours to read: then it tells nothing.
    return "";
  }
}

export interface KeptCopy {
  readonly file: string;
  /** What relative paths in it still mean. */
  readonly baseDirectory: string;
}

/** The kept copies, the best first. One that a power cut left without its origin is none. */
export function keptCopies(dataDirectory: string): KeptCopy[] {
  const names = [FOLDER, `${FOLDER}.new`, `${FOLDER}.old`];
  return names.flatMap((name) => copyIn(join(dataDirectory, name)) ?? []);
}

function copyIn(folder: string): KeptCopy | undefined {
  try {
    const origin = JSON.parse(readFileSync(join(folder, ORIGIN), "utf8")) as {
      main?: unknown;
      baseDirectory?: unknown;
    };
    const { main, baseDirectory } = origin;
    if (typeof main !== "string" || typeof baseDirectory !== "string") return undefined;
    return { file: join(folder, main), baseDirectory };
  } catch {
    // There is none, or only a part of one: it is written last.
    return undefined;
  }
}
