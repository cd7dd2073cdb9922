import { readFileSync } from "node:fs";

/** The environment variable in which the package's start tells why this is the version before the installed one. */
export const RETURNED = "HOLDFAST_RETURNED";

let found: string | undefined;

/** The version in package.json, wherever this file runs from (source or dist). */
export function version(): string {
  if (found !== undefined) return found;
  for (const up of ["../package.json", "../../package.json"]) {
    try {
      const text = readFileSync(new URL(up, import.meta.url), "utf8");
      found = String((JSON.parse(text) as { version?: unknown }).version);
      return found;
    } catch {
      // not at this depth: dist is one level deeper than the sources
    }
  }
  found = "0.0.0";
  return found;
}
