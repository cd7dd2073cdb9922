import { createHash } from "node:crypto";

/** What the file says: whether effects may leave, since when, and on whose word. */
export interface LatchNote {
  readonly latched: boolean;
  readonly why: string;
  readonly by: string;
  /** Wall time, for people. */
  readonly at: number;
  /** Names this one stop: who releases it knows which. */
  readonly nonce: string;
}

export type LatchReading =
  | { readonly kind: "read"; readonly note: LatchNote }
  | { readonly kind: "missing" }
  | { readonly kind: "unreadable"; readonly reason: string }
  /** This process could not look just now; that says nothing about the file. */
  | { readonly kind: "blind"; readonly reason: string };

export const BLOCK_BYTES = 512;
/** As JSON, so that a block holds everything whatever the letters are. */
const WHY_BYTES = 240;
const BY_BYTES = 80;
const NONCE = /^[0-9a-f]{16,32}$/;

/** The note with texts that fit, without control characters. */
export function fitting(note: LatchNote): LatchNote {
  return { ...note, why: cut(note.why, WHY_BYTES), by: cut(note.by, BY_BYTES) };
}

/** One block of a disk: a line of JSON with a sum over itself, padded with spaces. */
export function renderLatch(given: LatchNote): Buffer {
  const { latched, why, by, at, nonce } = fitting(given);
  const body = { v: 1, latched, why, by, at, nonce };
  const sum = createHash("sha256").update(JSON.stringify(body)).digest("hex").slice(0, 16);
  const line = Buffer.from(JSON.stringify({ ...body, sum }));
  const block = Buffer.alloc(BLOCK_BYTES, " ");
  line.copy(block);
  block[BLOCK_BYTES - 1] = 0x0a;
  return block;
}

/** Reads a block; undefined unless every byte is as it was written. */
export function parseLatch(block: Buffer): LatchNote | undefined {
  if (block.length !== BLOCK_BYTES) return undefined;
  let value: Partial<LatchNote> | null;
  try {
    value = JSON.parse(block.toString("utf8")) as Partial<LatchNote> | null;
  } catch {
    return undefined;
  }
  const { latched, why, by, at, nonce } = value ?? {};
  if (typeof latched !== "boolean" || typeof why !== "string" || typeof by !== "string") return undefined;
  if (typeof at !== "number" || typeof nonce !== "string" || !NONCE.test(nonce)) return undefined;
  const note = { latched, why, by, at, nonce };
  return renderLatch(note).equals(block) ? note : undefined;
}

export function whatIsWrong(reading: Exclude<LatchReading, { kind: "read" }>): string {
  return reading.kind === "missing" ? "the latch file is missing" : `the latch file can not be read: ${reading.reason}`;
}

/** What control.db says; undefined where it says nothing, latched where it makes no sense. */
export function keptIn(text: string | undefined): LatchNote | undefined {
  if (text === undefined) return undefined;
  try {
    const { latched, why, by, at, nonce } = JSON.parse(text) as LatchNote;
    if (typeof latched === "boolean" && typeof nonce === "string")
      return { latched, why: String(why), by: String(by), at: Number(at), nonce };
  } catch {
    // Not JSON: told as what follows.
  }
  return { latched: true, why: "control.db's latch can not be read", by: "holdfast", at: 0, nonce: "0000000000000000" };
}

export function isSame(one: LatchNote, other: LatchNote): boolean {
  return one.latched === other.latched && one.nonce === other.nonce;
}

/** As many letters as fit, never half of one. */
function cut(text: string, bytes: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would take six bytes each, and say nothing.
  const clean = Buffer.from(text.replaceAll(/[\u0000-\u001f\u007f]+/g, " ")).toString();
  if (jsonBytes(clean) <= bytes) return clean;
  let fits = "";
  for (const letter of clean) {
    if (jsonBytes(`${fits}${letter}…`) > bytes) break;
    fits += letter;
  }
  return `${fits}…`;
}

function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) - 2;
}
