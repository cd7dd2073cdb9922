import { existsSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { recordKinds } from "../../sync/kinds.ts";
import type { StreamHead } from "../../sync/records.ts";
import { dropBody } from "./bodies.ts";
import { bodyHash } from "./heads.ts";
import type { LogTables } from "./log-tables.ts";
import { type Database, openForLook, openForSalvage, type Statement } from "./sqlite-writer.ts";

const CHUNK_ROWS = 512;
const PAGE_BYTES = 2048;
const BUDGET_MS = 20_000;
const MOST_HOLES = 1000;
const LEAST_ROW_BYTES = 128;
const FRUITLESS_CHUNKS = 8;
const SMALL_TABLES = [
  "epoch",
  "agent",
  "total",
  "tally",
  "dropped",
  "gap",
  "ruleState",
  "windowCheckpoint",
  "reading",
  "seen",
  "ageMark",
  "limitState",
] as const;

/** In the new database: the name of what it was copied from, from the first record on that was not copied. */
const SOURCE = "salvagedFrom";

export interface Salvaged {
  readonly rows: number;
  readonly from: string;
}

type Row = Record<string, unknown> & { n: number; body: string; hash: Buffer };

/** Copies what can still be read of databases that were set aside into the new one, the newest first. */
export function salvage(asides: readonly string[], into: Database, notes: string[]): Salvaged {
  const rows = asides.reduce((sum, aside) => sum + salvageOne(aside, into, notes), 0);
  return { rows, from: basename(asides[0] ?? "") };
}

/** In the new epoch's first transaction: from here on the log is more than a copy. */
export function recordSource(database: Database, { from }: Salvaged): void {
  database.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(SOURCE, from);
}

/** From what a log was copied before it went on; "" for one that did not go on; undefined: it can not be told. */
export function salvagedFrom(path: string): string | undefined {
  if (!existsSync(path)) return "";
  let database: Database | undefined;
  try {
    database = openForLook(path);
    return (database.prepare("SELECT value FROM meta WHERE name = ?").pluck().get(SOURCE) as string | undefined) ?? "";
  } catch {
    // Damaged as well: it is set aside like any other.
    return undefined;
  } finally {
    database?.close();
  }
}

/** What it left out, it notes. */
function salvageOne(aside: string, into: Database, notes: string[]): number {
  let from: Database;
  try {
    withSomeFile(aside);
    from = openForSalvage(aside);
    from.prepare("SELECT n FROM record LIMIT 1").get();
  } catch (error) {
    notes.push(`nothing could be read of it: ${error instanceof Error ? error.message : String(error)}`);
    return 0;
  }
  const copied = SMALL_TABLES.filter((table) => copyTable(from, into, table, notes));
  into.prepare("INSERT OR REPLACE INTO meta SELECT 'lifeMs', coalesce(max(lifeMs), 0) FROM ageMark").run();
  const rows = copyRecords(from, into, notes);
  if (!copied.includes("total") || !copied.includes("tally")) sumRollups(into, notes);
  from.close();
  notes.push(`${rows} records were saved`);
  return rows;
}

/** A WAL is read only beside a file that has a page; that page is read from the WAL where it holds one. */
function withSomeFile(aside: string): void {
  const isEmpty = (statSync(aside, { throwIfNoEntry: false })?.size ?? 0) === 0;
  if (isEmpty && existsSync(`${aside}-wal`)) writeFileSync(aside, Buffer.alloc(PAGE_BYTES));
}

/** True when the table was read to its end. */
function copyTable(from: Database, into: Database, table: string, notes: string[]): boolean {
  let insert: Statement | undefined;
  into.exec("BEGIN");
  try {
    for (const row of from.prepare(`SELECT * FROM ${table}`).raw().iterate() as Iterable<unknown[]>) {
      insert ??= into.prepare(`INSERT OR IGNORE INTO ${table} VALUES (${row.map(() => "?").join(", ")})`);
      insert.run(...row);
    }
    return true;
  } catch (error) {
    notes.push(
      `the table ${table} could be read in part only: ${error instanceof Error ? error.message : String(error)}`,
    );
    return false;
  } finally {
    into.exec("COMMIT");
  }
}

/** Row by row where it must be: what can not be read is left out, and so is what does not fit its hash. */
function copyRecords(from: Database, into: Database, notes: string[]): number {
  const page = from.prepare("SELECT * FROM record WHERE n >= ? AND n < ? ORDER BY n");
  const insert = into.prepare(
    "INSERT OR IGNORE INTO record VALUES (@n, @epoch, @stream, @seq, @id, @kind, @agent, @wallMs, @body, @hash)",
  );
  const { first, last, isGuess } = rangeOf(from);
  const endsAt = performance.now() + BUDGET_MS;
  let copied = 0;
  let fruitless = 0;
  const take = (low: number, high: number): void => {
    const rows = readRange(page, low, high);
    if (rows === undefined && high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      take(low, middle);
      take(middle, high);
      return;
    }
    for (const row of rows ?? []) if (isWhole(row)) copied += insert.run(row).changes;
  };
  for (let n = first; n <= last; n += CHUNK_ROWS) {
    if (performance.now() > endsAt) {
      notes.push(
        `after ${BUDGET_MS / 1000} s the copying stopped; records from ${n} on are in the file that was set aside`,
      );
      break;
    }
    const before = copied;
    into.exec("BEGIN");
    take(n, n + CHUNK_ROWS);
    into.exec("COMMIT");
    fruitless = copied === before ? fruitless + 1 : 0;
    if (isGuess && fruitless === FRUITLESS_CHUNKS) break;
  }
  return copied;
}

function readRange(page: Statement, low: number, high: number): Row[] | undefined {
  try {
    return page.all(low, high) as Row[];
  } catch {
    // A page of the file that can not be read: the caller halves the range.
    return undefined;
  }
}

function isWhole(row: Row): boolean {
  return typeof row.body === "string" && Buffer.isBuffer(row.hash) && bodyHash(row.body).equals(row.hash);
}

interface Range {
  readonly first: number;
  readonly last: number;
  /** Where the end can not be read, as in a file that was cut: no more than fit into what is left. */
  readonly isGuess: boolean;
}

function rangeOf(from: Database): Range {
  const first = edgeOf(from, "min");
  const last = edgeOf(from, "max");
  if (first === null || last === null) return { first: 1, last: 0, isGuess: false };
  if (last !== undefined) return { first: first ?? 1, last, isGuess: false };
  const rows = Math.ceil(statSync(from.name).size / LEAST_ROW_BYTES);
  return { first: first ?? 1, last: (first ?? 1) + rows, isGuess: true };
}

/** Null for an empty table, undefined where that edge can not be read. */
function edgeOf(from: Database, edge: "min" | "max"): number | null | undefined {
  try {
    return from.prepare(`SELECT ${edge}(n) FROM record`).pluck().get() as number | null;
  } catch {
    // The page with that edge is damaged or gone.
    return undefined;
  }
}

/** Without the table of totals, they are the sums of the roll-ups that were saved. */
function sumRollups(into: Database, notes: string[]): void {
  const sums = new Map<number, Record<string, number>>();
  const rows = into.prepare("SELECT agent, body FROM record WHERE kind = ?").all(recordKinds.rollup);
  for (const row of rows as { agent: number; body: string }[]) {
    const sum = sums.get(row.agent) ?? {};
    sums.set(row.agent, sum);
    const { counters } = JSON.parse(row.body) as { counters: Record<string, number> };
    for (const [counter, n] of Object.entries(counters)) sum[counter] = (sum[counter] ?? 0) + n;
  }
  into.exec("DELETE FROM total; DELETE FROM tally;");
  const put = into.prepare("INSERT INTO total VALUES (?, ?)");
  for (const [agent, counters] of sums) put.run(agent, JSON.stringify(counters));
  notes.push("the totals were counted again from the roll-ups that were saved");
}

interface Hole {
  readonly epoch: number;
  readonly stream: number;
  readonly from: number;
  readonly to: number;
}

/** In the new epoch's first transaction: a drop record for each run of records that was lost with the old file. */
export function recordHoles(database: Database, tables: LogTables, wallMs: number): void {
  const idOf = database.prepare("SELECT lower(hex(id)) FROM epoch WHERE ordinal = ?").pluck();
  for (const hole of [...innerHoles(database, tables.heads), ...tailHoles(database)].slice(0, MOST_HOLES)) {
    const { epoch, stream, from, to } = hole;
    const epochId = (idOf.get(epoch) as string | undefined) ?? "0000000000000000";
    const unknown = { bytes: 0, chainBefore: null, chainAfter: null, reason: "unreadable" } as const;
    const drop = { epoch, epochId, stream, from, to, rows: to - from + 1, ...unknown, at: Math.floor(wallMs) };
    tables.write(0, "drop", wallMs, (id) => dropBody(id, drop));
  }
}

function innerHoles(database: Database, heads: LogTables["heads"]): Hole[] {
  // The running epoch has no holes; it is the one that `heads` counts.
  if (heads.seq(0) === 0) return [];
  return database
    .prepare(
      `SELECT epoch, stream, before + 1 AS "from", seq - 1 AS "to" FROM (
         SELECT epoch, stream, seq, lag(seq, 1, coalesce(
           (SELECT toSeq FROM dropped WHERE dropped.epoch = record.epoch AND dropped.stream = record.stream), 0))
           OVER (PARTITION BY epoch, stream ORDER BY seq) AS before FROM record)
       WHERE seq > before + 1`,
    )
    .all() as Hole[];
}

/** Rows that a saved chain head tells of, or the start after them, beyond the last one that was saved. */
function tailHoles(database: Database): Hole[] {
  const furthest = new Map<string, Hole>();
  for (const { epoch, heads } of toldHeads(database)) {
    for (const { stream, seq } of heads) {
      const name = `${epoch}/${stream}`;
      if (seq > (furthest.get(name)?.to ?? 0)) furthest.set(name, { epoch, stream, from: 0, to: seq });
    }
  }
  const last = database.prepare("SELECT max(seq) FROM record WHERE epoch = ? AND stream = ?").pluck();
  const dropped = database.prepare("SELECT toSeq FROM dropped WHERE epoch = ? AND stream = ?").pluck();
  return [...furthest.values()]
    .map((hole) => {
      const seq = (last.get(hole.epoch, hole.stream) as number | null) ?? 0;
      const gone = (dropped.get(hole.epoch, hole.stream) as number | undefined) ?? 0;
      return { ...hole, from: Math.max(seq, gone) + 1 };
    })
    .filter((hole) => hole.from <= hole.to);
}

function* toldHeads(database: Database): Generator<{ epoch: number; heads: readonly StreamHead[] }> {
  const ordinalOf = database.prepare("SELECT ordinal FROM epoch WHERE lower(hex(id)) = ?").pluck();
  const { chainHead, epochClose, epochStart } = recordKinds;
  const records = database.prepare("SELECT epoch, kind, body FROM record WHERE kind IN (?, ?, ?) ORDER BY n");
  for (const row of records.all(chainHead, epochClose, epochStart) as { epoch: number; kind: number; body: string }[]) {
    const body = JSON.parse(row.body) as { heads?: StreamHead[]; previous?: string; previousHeads?: StreamHead[] };
    if (row.kind !== epochStart) {
      yield { epoch: row.epoch, heads: body.heads ?? [] };
      continue;
    }
    const previous = ordinalOf.get(body.previous ?? "") as number | undefined;
    if (previous !== undefined) yield { epoch: previous, heads: body.previousHeads ?? [] };
  }
}
