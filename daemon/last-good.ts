import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Environment } from "../config/environment.ts";
import type { LoadedConfig } from "../config/load.ts";
import { writeDurably } from "./durable-file.ts";

/** Where the copy of the last configuration that worked is kept. */
const FOLDER = "last-good";

/**
 * Keeps a copy of the files of a configuration that started. With `run --last-good` a typo and a power cut together
 * mean this copy, loudly, and not a gateway that can not be reached.
 */
export function rememberLastGood(dataDirectory: string, loaded: LoadedConfig): void {
  const folder = join(dataDirectory, FOLDER);
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  for (const file of loaded.files) {
    mkdirSync(dirname(join(fresh, file.path)), { recursive: true });
    writeDurably(join(fresh, file.path), file.bytes);
  }
  writeDurably(
    join(fresh, "origin.json"),
    JSON.stringify({ main: loaded.files[0]?.path, baseDirectory: loaded.baseDirectory }),
  );
  const old = `${folder}.old`;
  rmSync(old, { recursive: true, force: true });
  if (existsSync(folder)) renameSync(folder, old);
  renameSync(fresh, folder);
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
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const named = environment["HOLDFAST__STORE__DIRECTORY"] ?? DIRECTORY.exec(text)?.[1]?.trim();
  const folder = dirname(resolve(file));
  return resolve(folder, named ?? (folder === PACKAGE.configuration ? PACKAGE.data : ".holdfast"));
}

/** The kept copy: its main file, and the folder that relative paths in it still mean; undefined when there is none. */
export function findLastGood(dataDirectory: string): { file: string; baseDirectory: string } | undefined {
  for (const name of [FOLDER, `${FOLDER}.old`]) {
    const folder = join(dataDirectory, name);
    if (!existsSync(join(folder, "origin.json"))) continue;
    const origin = JSON.parse(readFileSync(join(folder, "origin.json"), "utf8")) as {
      main: string;
      baseDirectory: string;
    };
    return { file: join(folder, origin.main), baseDirectory: origin.baseDirectory };
  }
  return undefined;
}
