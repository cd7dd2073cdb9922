import { readFileSync } from "node:fs";
import { DaemonError } from "../errors.ts";

/** A token as the file has it, without the line's end. */
export function readToken(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new DaemonError("INPUT_FILE", { file }, { cause });
  }
}
