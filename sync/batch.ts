import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { SyncError } from "./errors.ts";
import {
  type BatchHeader,
  batchHeaderSchema,
  checked,
  MOST_BATCH_BYTES,
  MOST_BATCH_RECORDS,
  type SeqRange,
} from "./messages.ts";

/** What a batch may have when it is unpacked: one that says little and holds much is refused before it is in memory. */
const MOST_UNPACKED_BYTES = 16_777_216;
const HASH_BYTES = 16;
const NEWLINE = 10;

export interface BatchLine {
  readonly seq: number;
  /** The record exactly as the gateway stored it. */
  readonly body: string;
  /** Its bytes as they came. */
  readonly bytes: Buffer;
  /** The first 16 bytes of SHA-256 over the body's bytes. */
  readonly hash: Buffer;
}

export interface DecodedBatch {
  readonly header: BatchHeader;
  readonly lines: readonly BatchLine[];
}

/** The hash that tells whether two records are the same: of the line's bytes, without its place in the log. */
export function recordHash(body: string | Uint8Array): Buffer {
  return createHash("sha256").update(body).digest().subarray(0, HASH_BYTES);
}

/** gzip (RFC 1952) of lines: the header, then each record's body as it is stored. Bodies hold no line breaks. */
export function encodeBatch(header: BatchHeader, bodies: readonly string[], level = 6): Buffer {
  return gzipSync(`${JSON.stringify(header)}\n${bodies.join("\n")}\n`, { level });
}

/**
 * Unpacks a batch and checks that its lines are what its header says. Throws SYNC_BATCH_INVALID; whether a line is a
 * record is the reader's to say, since one bad record must not keep the others.
 */
export function decodeBatch(payload: Uint8Array): DecodedBatch {
  if (payload.byteLength > MOST_BATCH_BYTES) throw invalid("it is too large", { bytes: payload.byteLength });
  const bytes = unpacked(payload);
  const first = bytes.indexOf(NEWLINE);
  if (first < 0) throw invalid("it has no header");
  const header = headerOf(bytes.toString("utf8", 0, first));
  const seqs = seqsOf(header);
  const lines: BatchLine[] = [];
  for (let at = first + 1; at < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, at);
    const end = newline < 0 ? bytes.length : newline;
    const seq = seqs[lines.length];
    if (seq === undefined) throw invalid("it has more lines than its header says", { lines: seqs.length });
    const line = bytes.subarray(at, end);
    lines.push({ seq, body: line.toString("utf8"), bytes: line, hash: recordHash(line) });
    at = end + 1;
  }
  if (lines.length !== seqs.length) throw invalid("it has fewer lines than its header says", { lines: lines.length });
  return { header, lines };
}

/** The seqs of a batch's lines: lo to hi without what was dropped. */
export function seqsOf({ lo, hi, dropped }: Pick<BatchHeader, "lo" | "hi" | "dropped">): number[] {
  const holes: readonly SeqRange[] = dropped;
  let last = lo - 1;
  for (const [from, to] of holes) {
    if (from <= last || to > hi) throw invalid("its dropped ranges do not fit", { from, to });
    last = to;
  }
  const held = holes.reduce((sum, [from, to]) => sum - (to - from + 1), hi - lo + 1);
  if (held < 0 || held > MOST_BATCH_RECORDS) throw invalid("it has too many records", { lo, hi });
  const seqs: number[] = [];
  let next = lo;
  for (const [from, to] of [...holes, [hi + 1, hi + 1] as const]) {
    for (; next < from; next++) seqs.push(next);
    next = to + 1;
  }
  return seqs;
}

function headerOf(line: string): BatchHeader {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw invalid("its header is no JSON", {}, cause);
  }
  const header = checked(batchHeaderSchema, value);
  if (header.hi < header.lo) throw invalid("it ends before it begins");
  return header;
}

function unpacked(payload: Uint8Array): Buffer {
  try {
    return gunzipSync(payload, { maxOutputLength: MOST_UNPACKED_BYTES });
  } catch (cause) {
    throw invalid("it can not be unpacked", {}, cause);
  }
}

function invalid(reason: string, detail: Record<string, unknown> = {}, cause?: unknown): SyncError {
  return new SyncError("SYNC_BATCH_INVALID", { reason, ...detail }, cause === undefined ? {} : { cause });
}
