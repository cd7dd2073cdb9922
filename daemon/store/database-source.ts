import { recordKinds } from "../../sync/kinds.ts";
import type { LogEpoch, LogRow, LogSource } from "./log-source.ts";
import type { ReadDatabase } from "./sqlite-reader.ts";

const PAGE_ROWS = 500;
const COLUMNS = "n, epoch, stream, seq, id, kind, agent, wallMs, body, hash";
const WITNESSES = [recordKinds.chainHead, recordKinds.epochClose, recordKinds.epochStart, recordKinds.drop].join(", ");

/** The log of a gateway, as it is now. Read in pages, so that nothing holds the WAL of a daemon that runs. */
export function databaseSource(database: ReadDatabase): LogSource {
  const lastN = (database.prepare("SELECT max(n) FROM record").pluck().get() as number | null) ?? 0;
  const epochs = database
    .prepare(
      `SELECT ordinal, lower(hex(id)) AS id, lower(hex(previous)) AS previous, bootId, fingerprint,
       startedWallMs, startedBootMs, reason FROM epoch ORDER BY ordinal`,
    )
    .all() as LogEpoch[];
  const agents = new Map(database.prepare("SELECT number, name FROM agent").raw().all() as [number, string][]);
  const find = database.prepare("SELECT n FROM record WHERE epoch = ? AND stream = ? AND seq = ?").pluck();
  return {
    epochs: epochs.map((epoch) => ({ ...epoch, previous: epoch.previous === "" ? null : epoch.previous })),
    agents,
    lastN,
    starts: undefined,
    witnesses: () => witnesses(database, epochs, lastN),
    rows: () => rowsBetween(database, Number.MIN_SAFE_INTEGER, lastN),
    find: (epoch, stream, seq) => find.get(epoch, stream, seq) as number | undefined,
  };
}

function* witnesses(database: ReadDatabase, epochs: readonly LogEpoch[], lastN: number): Generator<LogRow> {
  const page = database.prepare(
    `SELECT ${COLUMNS} FROM record WHERE epoch = ? AND stream = 0 AND seq > ? AND kind IN (${WITNESSES})
     AND n <= ${lastN} ORDER BY seq LIMIT ${PAGE_ROWS}`,
  );
  for (const { ordinal } of epochs) {
    let seq = 0;
    for (;;) {
      const found = page.all(ordinal, seq) as LogRow[];
      yield* found;
      if (found.length < PAGE_ROWS) break;
      seq = found.at(-1)?.seq ?? seq;
    }
  }
}

/** Rows after one number up to another, in order, a page at a time. */
export function* rowsBetween(database: ReadDatabase, afterN: number, toN: number): Generator<LogRow> {
  const page = database.prepare(`SELECT ${COLUMNS} FROM record WHERE n > ? AND n <= ${toN} ORDER BY n LIMIT ?`);
  let n = afterN;
  let atOnce = PAGE_ROWS;
  for (;;) {
    let found: LogRow[];
    try {
      found = page.all(n, atOnce) as LogRow[];
    } catch (error) {
      if (atOnce === 1) throw error;
      // Row by row up to the very place that can not be read.
      atOnce = 1;
      continue;
    }
    yield* found;
    const last = found.at(-1)?.n;
    // In a damaged tree rows may come in any order: never round in circles.
    if (last === undefined || last <= n) return;
    n = last;
    if (found.length < atOnce) return;
  }
}
