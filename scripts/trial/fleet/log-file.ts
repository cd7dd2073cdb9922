import { join } from "node:path";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { openForReading, type ReadDatabase } from "../../../daemon/store/sqlite-reader.ts";
import { recordKinds } from "../../../sync/kinds.ts";
import type { SeqRange } from "../../../sync/messages.ts";

/** How far a stream of a start went, and which of its rows are in the file. */
export interface Extent {
  hi: number;
  readonly rows: Map<number, string>;
  /** What the gateway believes that the fleet has. */
  readonly acknowledged: SeqRange[];
}

/** A drop record: what it tells of, and its own place. */
export interface Dropped {
  /** "epoch/stream". */
  readonly of: string;
  readonly from: number;
  readonly to: number;
  /** "epoch/stream/seq". */
  readonly place: string;
}

/** What the log of a gateway has, by "epoch/stream". */
export interface LogFile {
  readonly streams: ReadonlyMap<string, Extent>;
  readonly drops: readonly Dropped[];
}

/** Of "epoch/stream" the epoch. */
export function epochOf(name: string): string {
  return name.split("/", 1)[0] ?? "";
}

const EPOCH = "lower(hex(epoch.id)) AS epoch";

/** Reads a log while no daemon runs on it. */
export function readLogFile(data: string): LogFile {
  const database = openForReading(join(data, "records.db"), recordsSchema);
  try {
    return { streams: streamsIn(database), drops: dropsIn(database) };
  } finally {
    database.close();
  }
}

function streamsIn(database: ReadDatabase): Map<string, Extent> {
  const found = new Map<string, Extent>();
  const at = ({ epoch, stream }: { epoch: string; stream: number }): Extent => {
    const name = `${epoch}/${stream}`;
    const known = found.get(name) ?? { hi: 0, rows: new Map<number, string>(), acknowledged: [] };
    found.set(name, known);
    return known;
  };
  const rows = database.prepare(
    `SELECT ${EPOCH}, stream, seq, lower(hex(hash)) AS hash FROM record JOIN epoch ON ordinal = record.epoch`,
  );
  for (const row of rows.iterate() as Iterable<{ epoch: string; stream: number; seq: number; hash: string }>) {
    const one = at(row);
    one.rows.set(row.seq, row.hash);
    one.hi = Math.max(one.hi, row.seq);
  }
  const gone = database.prepare(`SELECT ${EPOCH}, stream, toSeq FROM dropped JOIN epoch ON ordinal = dropped.epoch`);
  for (const row of gone.all() as { epoch: string; stream: number; toSeq: number }[])
    at(row).hi = Math.max(at(row).hi, row.toSeq);
  const told = database.prepare(
    `SELECT ${EPOCH}, stream, contiguous, ranges FROM acknowledged JOIN epoch ON ordinal = acknowledged.epoch`,
  );
  for (const row of told.all() as { epoch: string; stream: number; contiguous: number; ranges: string }[])
    at(row).acknowledged.push([1, row.contiguous], ...(JSON.parse(row.ranges) as SeqRange[]));
  return found;
}

function dropsIn(database: ReadDatabase): Dropped[] {
  const rows = database
    .prepare(`SELECT ${EPOCH}, stream, seq, body FROM record JOIN epoch ON ordinal = record.epoch WHERE kind = ?`)
    .all(recordKinds.drop) as { epoch: string; stream: number; seq: number; body: string }[];
  return rows.map(({ epoch, stream, seq, body }) => {
    const drop = JSON.parse(body) as { epochId: string; stream: number; from: number; to: number };
    return {
      ...{ of: `${drop.epochId}/${drop.stream}`, from: drop.from, to: drop.to },
      place: `${epoch}/${stream}/${seq}`,
    };
  });
}
