import { recordKinds } from "../../sync/kinds.ts";
import type { Drop, StreamHead } from "../../sync/records.ts";
import { bodyHash } from "./heads.ts";
import type { ReadDatabase } from "./sqlite-reader.ts";

const PAGE_ROWS = 500;

interface Witness {
  readonly seq: number;
  readonly kind: number;
  readonly body: string;
  readonly hash: Buffer;
}

/** A chain value that was written down, and by which record. */
export interface WrittenHead {
  readonly seq: number;
  readonly chain: string | undefined;
}

/** What the safety stream says about one (epoch, stream), in order of seq. */
export interface Evidence {
  readonly heads: WrittenHead[];
  readonly drops: Drop[];
  /** The last seq, when the epoch is over: from its own close, or from the start of the next. */
  finalSeq: number | undefined;
}

export type EvidenceByStream = Map<string, Evidence>;

export function streamKey(epoch: number, stream: number): string {
  return `${epoch}/${stream}`;
}

export function evidenceFor(all: EvidenceByStream, epoch: number, stream: number): Evidence {
  const key = streamKey(epoch, stream);
  const known = all.get(key);
  if (known !== undefined) return known;
  const made: Evidence = { heads: [], drops: [], finalSeq: undefined };
  all.set(key, made);
  return made;
}

/** Reads all chain heads, closes, starts and drops. Their own rows are verified like all others. */
export function readEvidence(database: ReadDatabase, ordinals: readonly number[]): EvidenceByStream {
  const all: EvidenceByStream = new Map();
  const kinds = [recordKinds.chainHead, recordKinds.epochClose, recordKinds.epochStart, recordKinds.drop];
  const page = database.prepare(
    `SELECT seq, kind, body, hash FROM record WHERE epoch = ? AND stream = 0 AND seq > ? AND kind IN (${kinds.join(", ")})
     ORDER BY seq LIMIT ${PAGE_ROWS}`,
  );
  for (const [at, ordinal] of ordinals.entries()) {
    let seq = 0;
    for (;;) {
      const rows = page.all(ordinal, seq) as Witness[];
      for (const row of rows) {
        if (isWhole(row)) take(all, row, ordinal, ordinals[at - 1]);
        seq = row.seq;
      }
      if (rows.length < PAGE_ROWS) break;
    }
  }
  for (const one of all.values()) {
    one.heads.sort((a, b) => a.seq - b.seq);
    one.drops.sort((a, b) => a.from - b.from);
  }
  return all;
}

/** A witness that was tampered with is found bad itself; what it says must not accuse others. */
function isWhole(row: Witness): boolean {
  return typeof row.body === "string" && bodyHash(row.body).equals(row.hash);
}

function take(all: EvidenceByStream, row: Witness, ordinal: number, previous: number | undefined): void {
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(row.body) as Record<string, unknown>;
  } catch {
    // No evidence in a line that can not be read: the row itself is found bad by its hash.
    return;
  }
  if (row.kind === recordKinds.drop) {
    const drop = body as unknown as Drop;
    if (Number.isInteger(drop.from) && Number.isInteger(drop.to))
      evidenceFor(all, drop.epoch, drop.stream).drops.push(drop);
    return;
  }
  const isStart = row.kind === recordKinds.epochStart;
  const heads = (isStart ? body.previousHeads : body.heads) as StreamHead[] | undefined;
  const of = isStart ? previous : ordinal;
  if (of === undefined || !Array.isArray(heads)) return;
  for (const head of heads) {
    const one = evidenceFor(all, of, head.stream);
    one.heads.push({ seq: head.seq, chain: head.chain ?? undefined });
    if (isStart) one.finalSeq = head.seq;
    else if (row.kind === recordKinds.epochClose) one.finalSeq ??= head.stream === 0 ? head.seq + 1 : head.seq;
  }
}
