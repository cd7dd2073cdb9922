import { existsSync } from "node:fs";
import { join } from "node:path";

/** The note of what is under way with a directory, and the folder in which new files wait. */
export const JOURNAL = "restore.json";
export const STAGED = "restore.new";

/** Whether a restore or a reset of this directory was cut short. */
export function isUnsettled(directory: string): boolean {
  return [JOURNAL, STAGED].some((name) => existsSync(join(directory, name)));
}
