import { readFileSync } from "node:fs";
import { writeDurably } from "../durable-file.ts";

/** Beside the database, in a file of its own: how far the log had come. A database that is behind it is an older one. */
export interface Position {
  readonly ordinal: number;
  readonly epoch: string;
  readonly n: number;
  readonly wallMs: number;
}

export function writePosition(path: string, position: Position): void {
  writeDurably(path, `${JSON.stringify(position)}\n`);
}

/** The position that was written last, or undefined when there is none that can be read. */
export function readPosition(path: string): Position | undefined {
  try {
    const read = JSON.parse(readFileSync(path, "utf8")) as Partial<Position>;
    const { ordinal, epoch, n, wallMs } = read;
    if (typeof ordinal !== "number" || typeof n !== "number" || typeof wallMs !== "number") return undefined;
    return { ordinal, epoch: typeof epoch === "string" ? epoch : "", n, wallMs };
  } catch {
    // Absent at the first start; a damaged one only costs the comparison, and control.db holds the ordinal too.
    return undefined;
  }
}
