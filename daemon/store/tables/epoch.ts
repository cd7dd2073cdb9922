import { recordKinds, type StartReason } from "../../../sync/kinds.ts";
import type { Gap, StreamHead } from "../../../sync/records.ts";
import { firstChain, nextChain } from "../heads.ts";
import type { Database } from "../sqlite-writer.ts";

const PAGE_ROWS = 1000;

export interface EpochRow {
  readonly ordinal: number;
  readonly id: string;
  readonly bootId: string;
  readonly fingerprint: string;
  readonly startedWallMs: number;
  readonly startedBootMs: number;
  readonly reason: StartReason;
}

export interface LastEpoch extends EpochRow {
  readonly closed: boolean;
}

export function insertEpoch(database: Database, epoch: EpochRow, previous: string | undefined): void {
  database
    .prepare("INSERT INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    .run(
      epoch.ordinal,
      Buffer.from(epoch.id, "hex"),
      previous === undefined ? null : Buffer.from(previous, "hex"),
      epoch.bootId,
      epoch.fingerprint,
      epoch.startedWallMs,
      Math.floor(epoch.startedBootMs),
      epoch.reason,
    );
}

export function lastEpoch(database: Database): LastEpoch | undefined {
  const row = database
    .prepare(
      `SELECT ordinal, lower(hex(id)) AS id, bootId, fingerprint, startedWallMs, startedBootMs, reason
       FROM epoch ORDER BY ordinal DESC LIMIT 1`,
    )
    .get() as EpochRow | undefined;
  if (row === undefined) return undefined;
  const last = lastRecord(database);
  return { ...row, closed: last !== undefined && last.kind === recordKinds.epochClose && last.epoch === row.ordinal };
}

/** The newest start with one of these reasons. */
export function lastStartOf(
  database: Database,
  reasons: readonly StartReason[],
): { bootId: string; bootMs: number; wallMs: number } | undefined {
  const row = database
    .prepare(
      `SELECT bootId, startedBootMs AS bootMs, startedWallMs AS wallMs FROM epoch
       WHERE reason IN (SELECT value FROM json_each(?)) ORDER BY ordinal DESC LIMIT 1`,
    )
    .get(JSON.stringify(reasons));
  return row as { bootId: string; bootMs: number; wallMs: number } | undefined;
}

export function lastRecord(database: Database): { n: number; wallMs: number; kind: number; epoch: number } | undefined {
  const row = database.prepare("SELECT n, wallMs, kind, epoch FROM record ORDER BY n DESC LIMIT 1").get();
  return row as { n: number; wallMs: number; kind: number; epoch: number } | undefined;
}

export function gapsIn(database: Database): Gap[] {
  return database.prepare('SELECT fromMs AS "from", toMs AS "to", reason FROM gap ORDER BY n').all() as Gap[];
}

/** How far each stream of an epoch has come. The chain is followed from the last head that was written down. */
export function headsOf(database: Database, epoch: number): StreamHead[] {
  const last = database.prepare("SELECT max(seq) FROM record WHERE epoch = ? AND stream = ?").pluck();
  const written = writtenHeads(database, epoch);
  const heads: StreamHead[] = [];
  for (let stream = 0; stream < 4; stream++) {
    const seq = last.get(epoch, stream) as number | null;
    const start = written.get(stream) ?? droppedHead(database, epoch, stream);
    if (seq === null) {
      if (start.seq > 0) heads.push({ stream, seq: start.seq, chain: start.chain?.toString("hex") ?? null });
      continue;
    }
    const chain = start.chain === undefined ? undefined : followChain(database, epoch, stream, start.seq, start.chain);
    heads.push({ stream, seq: Math.max(seq, start.seq), chain: chain?.toString("hex") ?? null });
  }
  return heads;
}

interface ChainPoint {
  readonly seq: number;
  readonly chain: Buffer | undefined;
}

/** The newest chainHead or epochClose record of an epoch: one is written each minute, so it is near the end. */
function writtenHeads(database: Database, epoch: number): Map<number, ChainPoint> {
  const newest = database
    .prepare("SELECT body FROM record WHERE epoch = ? AND stream = 0 AND kind IN (?, ?) ORDER BY seq DESC LIMIT 1")
    .pluck()
    .get(epoch, recordKinds.chainHead, recordKinds.epochClose) as string | undefined;
  const points = new Map<number, ChainPoint>();
  if (newest === undefined) return points;
  for (const head of (JSON.parse(newest) as { heads: StreamHead[] }).heads) {
    points.set(head.stream, { seq: head.seq, chain: head.chain === null ? undefined : Buffer.from(head.chain, "hex") });
  }
  return points;
}

/** Where the rows that are still there begin: after what was dropped, or at the beginning. */
export function droppedHead(database: Database, epoch: number, stream: number): ChainPoint {
  const row = database.prepare("SELECT toSeq, chain FROM dropped WHERE epoch = ? AND stream = ?").get(epoch, stream);
  if (row === undefined) return { seq: 0, chain: firstChain() };
  const { toSeq, chain } = row as { toSeq: number; chain: Buffer | null };
  return { seq: toSeq, chain: chain ?? undefined };
}

/** The chain's value at the last row, or at `to`; undefined when a row in between is not there. */
export function followChain(
  database: Database,
  epoch: number,
  stream: number,
  fromSeq: number,
  start: Buffer,
  to: number = Number.MAX_SAFE_INTEGER,
): Buffer | undefined {
  const page = database.prepare(
    `SELECT seq, hash FROM record WHERE epoch = ? AND stream = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ${PAGE_ROWS}`,
  );
  let chain = start;
  let seq = fromSeq;
  for (;;) {
    const rows = page.all(epoch, stream, seq, to) as { seq: number; hash: Buffer }[];
    for (const row of rows) {
      if (row.seq !== seq + 1) return undefined;
      chain = nextChain(chain, row.hash);
      seq = row.seq;
    }
    if (rows.length < PAGE_ROWS) return chain;
  }
}
