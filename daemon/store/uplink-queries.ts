import { encodeBatch } from "../../sync/batch.ts";
import type { BatchHeader, SeqRange } from "../../sync/messages.ts";
import type { Waiting } from "../../sync/outgoing.ts";
import type { BatchAsk, ReadBatch } from "../../sync/uplink-log.ts";
import type { ReadDatabase } from "./sqlite-reader.ts";
import { droppedHead } from "./tables/epoch.ts";

/** A batch's text before it is packed: more could not become a batch that is small enough. */
const MOST_TEXT_BYTES = 1_048_576;
const MOST_ROWS = 250;
const FITS = 0.97;
/** Best compression: it costs a millisecond more a batch, in this thread, and bytes on a poor line are dear. */
const PACKING_LEVEL = 9;

interface AcknowledgedRow {
  readonly contiguous: number;
  readonly ranges: string;
}

/**
 * What of each start and stream the fleet does not have, the oldest start first. Those of which it has all are told too
 * (`lo` is beyond `hi`): a fleet that came back from a backup asks for what it had.
 */
export function waitingIn(database: ReadDatabase): Waiting[] {
  const last = database.prepare("SELECT max(seq) FROM record WHERE epoch = ? AND stream = ?").pluck();
  const known = database.prepare("SELECT contiguous, ranges FROM acknowledged WHERE epoch = ? AND stream = ?");
  const waiting: Waiting[] = [];
  for (const { ordinal, id } of epochsIn(database)) {
    for (let stream = 0; stream < 4; stream++) {
      const hi = last.get(ordinal, stream) as number | null;
      if (hi === null) continue;
      const row = known.get(ordinal, stream) as AcknowledgedRow | undefined;
      const contiguous = Math.max(row?.contiguous ?? 0, droppedHead(database, ordinal, stream).seq);
      const ranges = JSON.parse(row?.ranges ?? "[]") as SeqRange[];
      waiting.push({ epoch: id, ordinal, stream, lo: contiguous + 1, hi, contiguous, ranges });
    }
  }
  return waiting;
}

/** How long the gateway has run in all, and what is kept of the line's budget. */
export interface Life {
  readonly lifeMs: number;
  readonly budget: string | undefined;
}

export function lifeIn(database: ReadDatabase): Life {
  const meta = database.prepare("SELECT value FROM meta WHERE name = ?").pluck();
  return { lifeMs: Number(meta.get("lifeMs") ?? 0), budget: meta.get("fleetBudget") as string | undefined };
}

export interface Heads {
  readonly epoch: string;
  readonly ordinal: number;
  readonly seqs: readonly number[];
}

/** The newest seq of each stream of the newest start. */
export function headsIn(database: ReadDatabase): Heads {
  const row = database
    .prepare("SELECT ordinal, lower(hex(id)) AS epoch FROM epoch ORDER BY ordinal DESC LIMIT 1")
    .get() as { ordinal: number; epoch: string };
  const last = database.prepare("SELECT max(seq) FROM record WHERE epoch = ? AND stream = ?").pluck();
  return { ...row, seqs: [0, 1, 2, 3].map((stream) => (last.get(row.ordinal, stream) as number | null) ?? 0) };
}

/** Reads the lines of a batch and packs them: as many as fit. Packing is done here, off the main thread. */
export function batchIn(
  database: ReadDatabase,
  { ordinal, from, to, mostBytes, largestBytes, header }: BatchAsk,
): ReadBatch {
  const rows = rowsOf(database, ordinal, header.stream, from, to);
  if (rows.length === 0) return { kind: "gone" };
  for (let count = rows.length; ; ) {
    const taken = rows.slice(0, count);
    const payload = encodeBatch(
      completed(header, taken),
      taken.map((row) => row.body),
      PACKING_LEVEL,
    );
    if (payload.byteLength <= mostBytes || (count === 1 && payload.byteLength <= largestBytes))
      return { kind: "batch", payload, lo: seqOf(taken[0]), hi: seqOf(taken.at(-1)), rows: count };
    if (count === 1) return { kind: "tooLarge", seq: seqOf(taken[0]), bytes: payload.byteLength };
    // As many as would have fitted, and a little less: fewer rows pack a little worse.
    count = Math.max(1, Math.min(count - 1, Math.floor((count * mostBytes * FITS) / payload.byteLength)));
  }
}

interface Row {
  readonly seq: number;
  readonly body: string;
}

function rowsOf(database: ReadDatabase, ordinal: number, stream: number, from: number, to: number): Row[] {
  const select = database.prepare(
    `SELECT seq, body FROM record WHERE epoch = ? AND stream = ? AND seq >= ? AND seq <= ? ORDER BY seq LIMIT ${MOST_ROWS}`,
  );
  const rows: Row[] = [];
  let bytes = 0;
  for (const row of select.iterate(ordinal, stream, from, to) as Iterable<Row>) {
    bytes += row.body.length;
    if (rows.length > 0 && bytes > MOST_TEXT_BYTES) break;
    rows.push(row);
  }
  return rows;
}

function seqOf(row: Row | undefined): number {
  return row?.seq ?? 0;
}

function completed(header: BatchAsk["header"], rows: readonly Row[]): BatchHeader {
  const lo = seqOf(rows[0]);
  const dropped: [number, number][] = [];
  let next = lo;
  for (const { seq } of rows) {
    if (seq > next) dropped.push([next, seq - 1]);
    next = seq + 1;
  }
  const { v, kind, session, epoch, ordinal, stream, clock, hist } = header;
  const more = hist === undefined ? {} : { hist };
  return { v, kind, session, epoch, ordinal, stream, lo, hi: next - 1, dropped, clock, ...more };
}

function epochsIn(database: ReadDatabase): { ordinal: number; id: string }[] {
  const rows = database.prepare("SELECT ordinal, lower(hex(id)) AS id FROM epoch ORDER BY ordinal").all();
  return rows as { ordinal: number; id: string }[];
}

/** What of a stream waits for the fleet. */
export interface OutboxStream {
  readonly stream: number;
  readonly records: number;
  /** About: by the mean size of the stream's rows. */
  readonly bytes: number;
  /** Wall time of the oldest record that waits. */
  readonly oldestMs: number | undefined;
  /** Of the newest start of which anything is acknowledged. */
  readonly acknowledged: { readonly epoch: string; readonly seq: number } | undefined;
  readonly droppedRows: number;
}

export function outboxIn(database: ReadDatabase): OutboxStream[] {
  const waiting = waitingIn(database).filter(({ lo, hi }) => lo <= hi);
  const at = database.prepare(
    "SELECT wallMs FROM record WHERE epoch = ? AND stream = ? AND seq >= ? ORDER BY seq LIMIT 1",
  );
  const size = database.prepare("SELECT rows, bytes FROM streamSize WHERE stream = ?");
  const dropped = database.prepare("SELECT coalesce(sum(rows), 0) FROM dropped WHERE stream = ?").pluck();
  const newest = database.prepare(
    `SELECT lower(hex(id)) AS epoch, contiguous AS seq FROM acknowledged JOIN epoch ON ordinal = acknowledged.epoch
     WHERE stream = ? AND contiguous > 0 ORDER BY ordinal DESC LIMIT 1`,
  );
  return [0, 1, 2, 3].map((stream) => {
    const mine = waiting.filter((one) => one.stream === stream);
    const records = mine.reduce((sum, { lo, hi, ranges }) => sum + hi - lo + 1 - rowsIn(ranges), 0);
    const { rows, bytes } = (size.get(stream) ?? { rows: 0, bytes: 0 }) as { rows: number; bytes: number };
    const [first] = mine;
    const oldest = first === undefined ? undefined : at.pluck().get(first.ordinal, stream, first.lo);
    return {
      ...{ stream, records, bytes: Math.round(records * (rows === 0 ? USUAL_ROW_BYTES : bytes / rows)) },
      oldestMs: oldest as number | undefined,
      acknowledged: newest.get(stream) as OutboxStream["acknowledged"],
      droppedRows: dropped.get(stream) as number,
    };
  });
}

const USUAL_ROW_BYTES = 500;

function rowsIn(ranges: readonly SeqRange[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
}
