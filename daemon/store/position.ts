import { existsSync, readFileSync, renameSync } from "node:fs";
import type { StreamHead } from "../../sync/records.ts";
import { type Signed, type Signer, signedParts, signedText } from "../../sync/signing.ts";
import { writeDurably } from "../durable-file.ts";

/** Beside the database, in a file of its own: how far the log had come. A database that is behind it is an older one. */
export interface Position {
  readonly ordinal: number;
  readonly epoch: string;
  readonly n: number;
  readonly wallMs: number;
}

/** What an auditor reads of it: also where each stream of the epoch stood, and the gateway's signature. */
export interface Testimony extends Position {
  readonly heads: readonly StreamHead[];
  readonly signed: Signed | undefined;
}

export function writePosition(
  path: string,
  position: Position,
  heads: readonly StreamHead[] = [],
  signer?: Signer,
): void {
  writeDurably(path, `${signedText({ kind: "position", ...position, heads }, signer)}\n`);
}

/** The position that was written last, or undefined when there is none that can be read. */
export function readPosition(path: string): Position | undefined {
  const read = readTestimony(path);
  if (read === undefined) return undefined;
  const { ordinal, epoch, n, wallMs } = read;
  return { ordinal, epoch, n, wallMs };
}

/** One that is there and can not be read is kept aside, since it is signed evidence; undefined: nothing is wrong with it. */
export function setUnreadableAside(path: string, wallMs: number): string | undefined {
  if (!existsSync(path) || readTestimony(path) !== undefined) return undefined;
  const aside = `${path}.unreadable-${wallMs}`;
  renameSync(path, aside);
  return aside;
}

export function readTestimony(path: string): Testimony | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    const { ordinal, epoch, n, wallMs, heads } = JSON.parse(text) as Partial<Testimony>;
    if (typeof ordinal !== "number" || typeof n !== "number" || typeof wallMs !== "number") return undefined;
    const list = Array.isArray(heads) ? heads : [];
    const id = typeof epoch === "string" ? epoch : "";
    return { ordinal, epoch: id, n, wallMs, heads: list, signed: signedParts(text) };
  } catch {
    // Absent at the first start; a damaged one only costs the comparison, and control.db holds the ordinal too.
    return undefined;
  }
}
