import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { loadConfig } from "../../config/load.ts";
import { ConfigInvalid } from "../errors.ts";
import { keptCopies, likelyDataDirectory } from "../last-good.ts";
import type { Io } from "./io.ts";

export interface Where {
  readonly config?: string | undefined;
  readonly data?: string | undefined;
}

/** Looked for in this order when no --config is given. */
const USUAL_FILES = ["holdfast.yaml", "/etc/holdfast/holdfast.yaml"];

/** The gateway's file: the one that was named, else a usual one that exists, else undefined (the bundled example). */
export function findConfig(where: Where): string | undefined {
  if (where.config !== undefined) return where.config;
  return USUAL_FILES.find((path) => existsSync(path));
}

/**
 * The data directory of a command: --data beats the configuration's `store.directory`, which beats ./.holdfast. A file
 * with mistakes keeps nobody from asking a gateway that runs with its last good one. Throws ConfigInvalid elsewhere.
 */
export function dataDirectory(where: Where, io: Io): string {
  if (where.data !== undefined) return resolve(where.data);
  const file = findConfig(where);
  if (file === undefined) return resolve(".holdfast");
  const loaded = loadConfig({ file, environment: io.environment });
  if (!loaded.ok) {
    const likely = likelyDataDirectory(file, io.environment);
    if (keptCopies(likely).length === 0) throw new ConfigInvalid(loaded.problems);
    io.err(`holdfast: ${file} has mistakes (holdfast check-config lists them); this is about the data in ${likely}\n`);
    return likely;
  }
  return resolve(dirname(resolve(file)), loaded.config.gateway.store.directory);
}
