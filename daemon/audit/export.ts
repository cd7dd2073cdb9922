import { kindName, recordKinds } from "../../sync/kinds.ts";
import { type Drop, type StreamHead, streamNames } from "../../sync/records.ts";
import { redact } from "../../sync/redact.ts";
import { databaseSource, rowsBetween } from "../store/database-source.ts";
import { firstChain } from "../store/heads.ts";
import type { LogEpoch, LogRow, LogStart } from "../store/log-source.ts";
import { segmentsOf } from "../store/segments.ts";
import type { ReadDatabase } from "../store/sqlite-reader.ts";
import { droppedHead, followChain } from "../store/tables/epoch.ts";

export const EXPORT_KIND = "holdfast-export";

/** The first line of an export. */
export interface ExportHeader {
  readonly v: 1;
  readonly kind: typeof EXPORT_KIND;
  readonly exportedAt: string;
  /** The gateway's public keys (SPKI, PEM), today's and those before. */
  readonly keys: readonly string[];
  readonly epochs: readonly LogEpoch[];
  readonly from: { readonly n: number; readonly at: string } | null;
  readonly to: { readonly n: number; readonly at: string } | null;
  /** Where each stream stood before the first line. */
  readonly starts: readonly LogStart[];
  /** Ranges that retention announced before the first line or after the last: rows of them may be missing here. */
  readonly drops: readonly Drop[];
}

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** The rows from the first to the last of this time, with all that lie between: only rows without a gap can be verified. */
export function rangeOf(database: ReadDatabase, sinceMs: number, untilMs: number): Range | undefined {
  const inside = "SELECT %(n) FROM record WHERE n >= ? AND n <= ? AND wallMs >= ? AND wallMs <= ?";
  const first = database.prepare(inside.replace("%", "min")).pluck();
  const last = database.prepare(inside.replace("%", "max")).pluck();
  const bounds = [Math.max(sinceMs, Number.MIN_SAFE_INTEGER), Math.min(untilMs, Number.MAX_SAFE_INTEGER)];
  const ends = segmentsOf(database, sinceMs, untilMs).flatMap(({ from, to }) => [
    first.get(from, to, ...bounds) as number | null,
    last.get(from, to, ...bounds) as number | null,
  ]);
  const found = ends.filter((n) => n !== null);
  return found.length === 0 ? undefined : { from: Math.min(...found), to: Math.max(...found) };
}

export function exportHeader(
  database: ReadDatabase,
  range: Range | undefined,
  keys: readonly string[],
  nowMs: number,
): ExportHeader {
  const timeOf = database.prepare("SELECT wallMs FROM record WHERE n = ?").pluck();
  const end = (n: number) => ({ n, at: new Date(timeOf.get(n) as number).toISOString() });
  const epochs = range === undefined ? [] : epochsIn(database, range);
  return {
    v: 1,
    kind: EXPORT_KIND,
    exportedAt: new Date(nowMs).toISOString(),
    keys,
    epochs,
    from: range === undefined ? null : end(range.from),
    to: range === undefined ? null : end(range.to),
    starts: range === undefined ? [] : epochs.flatMap(({ ordinal }) => startsOf(database, ordinal, range.from)),
    drops: range === undefined ? [] : dropsOutside(database, range),
  };
}

/** The lines of the rows, each with its line break. */
export function* exportLines(database: ReadDatabase, { from, to }: Range): Generator<string> {
  for (const row of rowsBetween(database, from - 1, to)) yield exportLine(row);
}

/**
 * A row as a line. The body stands last, as the very bytes that were hashed; where something in it is private, or it is
 * no JSON, `redacted` says that it is not.
 */
export function exportLine(row: LogRow): string {
  const { n, epoch, stream, seq, kind, hash } = row;
  const place = { n, epoch, stream: streamNames[stream as 0 | 1 | 2 | 3] ?? stream, seq };
  const head = { ...place, kind: kindName(kind) ?? kind, hash: Buffer.isBuffer(hash) ? hash.toString("hex") : null };
  const { text, redacted } = shownBody(row.body);
  const told = JSON.stringify(redacted ? { ...head, redacted } : head);
  return `${told.slice(0, -1)},"body":${text}}\n`;
}

function shownBody(body: unknown): { text: string; redacted: boolean } {
  if (typeof body !== "string" || /[\r\n]/.test(body)) return { text: "null", redacted: true };
  try {
    const value = JSON.parse(body) as unknown;
    if (typeof value !== "object" || value === null) return { text: "null", redacted: true };
    const shown = redact(value);
    return shown.redacted ? { text: JSON.stringify(shown.body), redacted: true } : { text: body, redacted: false };
  } catch {
    // What is in it can not be told, so it stays here.
    return { text: "null", redacted: true };
  }
}

function epochsIn(database: ReadDatabase, { from, to }: Range): LogEpoch[] {
  const at = database.prepare("SELECT epoch FROM record WHERE n >= ? ORDER BY n LIMIT 1").pluck();
  const before = database.prepare("SELECT epoch FROM record WHERE n <= ? ORDER BY n DESC LIMIT 1").pluck();
  const [first, last] = [at.get(from) as number, before.get(to) as number];
  return databaseSource(database).epochs.filter(({ ordinal }) => ordinal >= first && ordinal <= last);
}

/** Where each stream of a start stood before row n: at its last row before, or at the last head when that was dropped. */
function startsOf(database: ReadDatabase, epoch: number, n: number): LogStart[] {
  const newest = database
    .prepare(
      `SELECT body FROM record WHERE epoch = ? AND stream = 0 AND n < ? AND kind = ${recordKinds.chainHead} ORDER BY seq DESC LIMIT 1`,
    )
    .pluck();
  const last = database
    .prepare("SELECT seq FROM record WHERE epoch = ? AND stream = ? AND n < ? ORDER BY seq DESC LIMIT 1")
    .pluck();
  const body = newest.get(epoch, n) as string | undefined;
  const heads = body === undefined ? [] : (JSON.parse(body) as { heads: StreamHead[] }).heads;
  return [0, 1, 2, 3].map((stream) => {
    const head = heads.find((one) => one.stream === stream);
    const told = head === undefined ? { seq: 0, chain: firstChain() } : { seq: head.seq, chain: bytes(head.chain) };
    const seq = last.get(epoch, stream, n) as number | undefined;
    if (seq === undefined || seq <= told.seq) return { epoch, stream, seq: told.seq, chain: hex(told.chain) };
    const dropped = droppedHead(database, epoch, stream);
    const known = dropped.seq > told.seq && dropped.seq <= seq ? dropped : told;
    const chain = known.chain && followChain(database, epoch, stream, known.seq, known.chain, seq);
    return { epoch, stream, seq, chain: hex(chain) };
  });
}

function hex(chain: Buffer | undefined): string | null {
  return chain?.toString("hex") ?? null;
}

function bytes(chain: string | null): Buffer | undefined {
  return chain === null ? undefined : Buffer.from(chain, "hex");
}

function dropsOutside(database: ReadDatabase, { from, to }: Range): Drop[] {
  const bodies = database.prepare(
    `SELECT body FROM record WHERE (n < ? OR n > ?) AND stream = 0 AND kind = ${recordKinds.drop}`,
  );
  return (bodies.pluck().all(from, to) as string[]).map((body) => JSON.parse(body) as Drop);
}
