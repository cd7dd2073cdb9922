import { recordKinds } from "../../sync/kinds.ts";
import type { Drop, EpochStart, StreamHead } from "../../sync/records.ts";
import type { LogRow, LogSource } from "./log-source.ts";
import { isWhole } from "./row-check.ts";
import type { Signatures } from "./signatures.ts";

/** A chain value that was written down. */
export interface WrittenHead {
  readonly seq: number;
  readonly chain: string | undefined;
}

/** A drop record's words, and where that record stands; nowhere where an export tells of it in its first line. */
export interface ToldDrop extends Drop {
  readonly by?: { readonly epoch: number; readonly seq: number };
}

/** What the safety stream says about one (epoch, stream), in order of seq. */
export interface StreamEvidence {
  readonly heads: WrittenHead[];
  readonly drops: ToldDrop[];
  /** The last seq, when the epoch is over: from its own close, or from the start of the next. */
  finalSeq: number | undefined;
}

/** What a head record says of all rows before it. */
export interface HeadClaim {
  /** Rows of the epoch before it, dropped ones too. */
  readonly rows: number;
  readonly heads: readonly StreamHead[];
}

/** What the first record of a start says, and the number of its row. */
export interface StartClaim {
  readonly n: number;
  readonly body: EpochStart;
}

/** All that records of the log say about others. Their own rows are verified like all others. */
export class Evidence {
  readonly #streams = new Map<string, StreamEvidence>();
  /** By the number of the head's row. */
  readonly heads = new Map<number, HeadClaim>();
  /** By ordinal. */
  readonly starts = new Map<number, StartClaim>();
  /** Rows that an epoch had when the next began, by ordinal. */
  readonly totals = new Map<number, number>();

  of(epoch: number, stream: number): StreamEvidence {
    const key = `${epoch}/${stream}`;
    const known = this.#streams.get(key);
    if (known !== undefined) return known;
    const made: StreamEvidence = { heads: [], drops: [], finalSeq: undefined };
    this.#streams.set(key, made);
    return made;
  }

  /** Rows of an epoch that were dropped; undefined when it is not known which. */
  dropped(epoch: number): number | undefined {
    const drops = [0, 1, 2, 3].flatMap((stream) => this.of(epoch, stream).drops);
    if (drops.some((drop) => drop.reason === "unreadable")) return undefined;
    return drops.reduce((sum, drop) => sum + drop.to - drop.from + 1, 0);
  }

  /** Whether the log was saved from a damaged file after this start: what was lost then is not known in full. */
  wasSalvaged(epoch: number): boolean {
    return [...this.starts].some(([ordinal, { body }]) => ordinal > epoch && body.reason === "recovered");
  }

  /** Whether any record tells of rows of this start. */
  knowsOf(epoch: number): boolean {
    return [0, 1, 2, 3].some((stream) => {
      const { heads, finalSeq } = this.of(epoch, stream);
      return heads.length > 0 || finalSeq !== undefined;
    });
  }

  /** Where streams of an epoch stood when this was written. */
  stood(epoch: number, heads: readonly StreamHead[]): void {
    for (const { stream, seq, chain } of heads) this.of(epoch, stream).heads.push({ seq, chain: chain ?? undefined });
  }

  sort(): void {
    for (const one of this.#streams.values()) {
      one.heads.sort((a, b) => a.seq - b.seq);
      one.drops.sort((a, b) => a.from - b.from);
    }
  }
}

/** Reads all chain heads, closes, starts and drops; looks at their signatures on the way. */
export function readEvidence(source: LogSource, signatures: Signatures): Evidence {
  const evidence = new Evidence();
  const before = new Map(source.epochs.map((epoch, at) => [epoch.ordinal, source.epochs[at - 1]]));
  for (const row of source.witnesses()) {
    // One that was tampered with is found bad itself; what it says must not accuse others.
    if (!isWhole(row)) continue;
    const body = parsed(row.body);
    if (body === undefined) continue;
    if (row.kind === recordKinds.drop)
      takeDrop(evidence, { ...(body as unknown as Drop), by: { epoch: row.epoch, seq: row.seq } });
    else if (!signatures.isGood(row, row.body)) continue;
    else if (row.kind === recordKinds.epochStart) {
      const start = body as unknown as EpochStart;
      evidence.starts.set(row.epoch, { n: row.n, body: start });
      const previous = before.get(row.epoch);
      if (previous !== undefined && previous.id === start.previous && Array.isArray(start.previousHeads))
        takeStart(evidence, previous.ordinal, start.previousHeads);
    } else if (Array.isArray(body["heads"])) takeHeads(evidence, row, body["heads"] as StreamHead[]);
  }
  for (const drop of source.drops ?? []) takeDrop(evidence, drop);
  evidence.sort();
  return evidence;
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    // No evidence in a line that can not be read: the row itself is found bad.
    return undefined;
  }
}

function takeDrop(evidence: Evidence, drop: ToldDrop): void {
  if (!Number.isInteger(drop.from) || !Number.isInteger(drop.to)) return;
  const { drops, heads } = evidence.of(drop.epoch, drop.stream);
  drops.push(drop);
  // As long as its rows are still there, what is told of the chain holds for them.
  heads.push({ seq: drop.to, chain: drop.chainAfter ?? undefined });
}

function takeStart(evidence: Evidence, previous: number, heads: readonly StreamHead[]): void {
  evidence.stood(previous, heads);
  for (const { stream, seq } of heads) evidence.of(previous, stream).finalSeq = seq;
  evidence.totals.set(
    previous,
    heads.reduce((sum, { seq }) => sum + seq, 0),
  );
}

function takeHeads(evidence: Evidence, row: LogRow, heads: readonly StreamHead[]): void {
  evidence.stood(row.epoch, heads);
  evidence.heads.set(row.n, { rows: heads.reduce((sum, { seq }) => sum + seq, 0), heads });
  if (row.kind !== recordKinds.epochClose) return;
  for (const stream of [0, 1, 2, 3]) {
    const seq = heads.find((head) => head.stream === stream)?.seq ?? 0;
    evidence.of(row.epoch, stream).finalSeq ??= stream === 0 ? seq + 1 : seq;
  }
}
