import { type RecordKind, recordKinds } from "../../sync/kinds.ts";
import type { Gap } from "../../sync/records.ts";
import type { Generation } from "./messages.ts";
import { controlSchema } from "./schema.ts";
import { type Segment, segmentsOf } from "./segments.ts";
import { openForReading, type ReadDatabase } from "./sqlite-reader.ts";

/** Rows that one query gives at most, and rows that it looks at: a longer one would hold the WAL. */
const PAGE_ROWS = 500;
const WINDOW_ROWS = 4000;
const WINDOWS_A_PAGE = 25;
const ID_SLACK_MS = 600_000;

export interface StoredRow {
  readonly n: number;
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  readonly kind: number;
  readonly agent: number;
  readonly wallMs: number;
  readonly body: string;
}

export interface RecordFilter {
  readonly kinds?: readonly RecordKind[] | undefined;
  readonly agent?: string | undefined;
  readonly key?: string | undefined;
  /** A rule that fired. */
  readonly rule?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Only rows after this number, and before that one: where the page before ended. */
  readonly afterN?: number | undefined;
  readonly beforeN?: number | undefined;
  readonly limit: number;
  readonly newestFirst: boolean;
}

export interface Page {
  readonly rows: readonly StoredRow[];
  /** Pass it as `afterN` (oldest first) or `beforeN` (newest first) to go on; undefined at the end. */
  readonly next: number | undefined;
}

export interface EpochSummary {
  readonly ordinal: number;
  readonly id: string;
  readonly startedWallMs: number;
  readonly reason: string;
  readonly bootId: string;
}

/** One page of records. Looks at a bounded number of rows, so a page may be short or empty though more follows. */
export function recordPage(database: ReadDatabase, filter: RecordFilter): Page {
  const agent = filter.agent === undefined ? undefined : agentNumberOf(database, filter.agent);
  if (agent === null) return { rows: [], next: undefined };
  const windows = windowsOf(database, filter);
  const select = statementOf(database, filter, agent);
  const limit = Math.min(filter.limit, PAGE_ROWS);
  const rows: StoredRow[] = [];
  for (const window of windows.slice(0, WINDOWS_A_PAGE)) {
    const found = select(window.from, window.to, limit);
    for (const row of found) {
      if (!fits(row, filter)) continue;
      rows.push(row);
      if (rows.length === limit) return { rows, next: row.n };
    }
    if (found.length === limit) return { rows, next: found.at(-1)?.n };
  }
  const unseen = windows[WINDOWS_A_PAGE];
  if (unseen === undefined) return { rows, next: undefined };
  return { rows, next: filter.newestFirst ? unseen.to + 1 : unseen.from - 1 };
}

/** The record with this id: looked for where its own time says, then everywhere. */
export function recordById(database: ReadDatabase, id: string): StoredRow | undefined {
  const bytes = Buffer.from(id.replaceAll("-", ""), "hex");
  if (bytes.length !== 16) return undefined;
  const wallMs = bytes.readUIntBE(0, 6);
  const find = database.prepare(`SELECT ${COLUMNS} FROM record WHERE n >= ? AND n <= ? AND id = ?`);
  const near = segmentsOf(database, wallMs - ID_SLACK_MS, wallMs + ID_SLACK_MS);
  const all = segmentsOf(database, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  for (const segment of [...near, ...all].flatMap((one) => cut(one, false))) {
    const row = find.get(segment.from, segment.to, bytes);
    if (row !== undefined) return row as StoredRow;
  }
  return undefined;
}

export function epochs(database: ReadDatabase): EpochSummary[] {
  return database
    .prepare("SELECT ordinal, lower(hex(id)) AS id, startedWallMs, reason, bootId FROM epoch ORDER BY ordinal")
    .all() as EpochSummary[];
}

export function gaps(database: ReadDatabase): Gap[] {
  return database.prepare('SELECT fromMs AS "from", toMs AS "to", reason FROM gap ORDER BY n').all() as Gap[];
}

/** All-time counters by agent name; "" is the gateway itself. */
export function totals(database: ReadDatabase): Record<string, Record<string, number>> {
  const rows = database
    .prepare(
      `SELECT coalesce(name, '') AS name, counters FROM (SELECT agent, counters FROM total UNION ALL SELECT agent, counters FROM tally)
       LEFT JOIN agent ON number = agent`,
    )
    .all() as { name: string; counters: string }[];
  const sums: Record<string, Record<string, number>> = {};
  for (const row of rows) {
    const into = sums[row.name] ?? {};
    sums[row.name] = into;
    for (const [counter, n] of Object.entries(JSON.parse(row.counters) as Record<string, number>)) {
      into[counter] = (into[counter] ?? 0) + n;
    }
  }
  return sums;
}

export interface Counts {
  /** Rows and bytes of bodies by stream, as of the last full minute. */
  readonly streams: readonly { readonly stream: number; readonly rows: number; readonly bytes: number }[];
  readonly rows: number;
  readonly lastN: number;
}

export function counts(database: ReadDatabase): Counts {
  const streams = database
    .prepare("SELECT stream, rows, bytes FROM streamSize ORDER BY stream")
    .all() as Counts["streams"][number][];
  const countedTo = Number(database.prepare("SELECT value FROM meta WHERE name = 'sizesAtN'").pluck().get() ?? 0);
  const since = database.prepare("SELECT count(*) FROM record WHERE n > ?").pluck().get(countedTo) as number;
  const lastN = (database.prepare("SELECT max(n) FROM record").pluck().get() as number | null) ?? 0;
  return { streams, rows: streams.reduce((sum, one) => sum + one.rows, since), lastN };
}

/** A generation with the source bytes it was made of, from control.db. */
export function generationById(controlPath: string, id: string): Generation | undefined {
  const database = openForReading(controlPath, controlSchema);
  try {
    const row = database
      .prepare("SELECT id, origin, createdAt, files FROM generation WHERE substr(id, 1, length(?)) = ?")
      .get(id, id);
    if (row === undefined) return undefined;
    const { files, ...rest } = row as { id: string; origin: string; createdAt: number; files: string };
    return { ...rest, files: JSON.parse(files) as Generation["files"] };
  } finally {
    database.close();
  }
}

/** What control.db keeps by name. */
export function controlMeta(controlPath: string): Readonly<Record<string, string>> {
  const database = openForReading(controlPath, controlSchema);
  try {
    return Object.fromEntries(database.prepare("SELECT name, value FROM meta").raw().all() as [string, string][]);
  } finally {
    database.close();
  }
}

const COLUMNS = "n, epoch, stream, seq, kind, agent, wallMs, body";

function agentNumberOf(database: ReadDatabase, name: string): number | null {
  return (database.prepare("SELECT number FROM agent WHERE name = ?").pluck().get(name) as number | undefined) ?? null;
}

/** The ranges of n to look at, in the order of the answer, each short enough for one query. */
function windowsOf(database: ReadDatabase, filter: RecordFilter): Segment[] {
  const since = filter.sinceMs ?? Number.NEGATIVE_INFINITY;
  const until = filter.untilMs ?? Number.POSITIVE_INFINITY;
  const low = (filter.afterN ?? 0) + 1;
  const high = (filter.beforeN ?? Number.MAX_SAFE_INTEGER) - 1;
  const segments = segmentsOf(database, since, until)
    .map((one) => ({ from: Math.max(one.from, low), to: Math.min(one.to, high) }))
    .filter((one) => one.from <= one.to);
  if (filter.newestFirst) segments.reverse();
  const windows: Segment[] = [];
  for (const segment of segments) {
    windows.push(...cut(segment, filter.newestFirst, WINDOWS_A_PAGE + 1 - windows.length));
    if (windows.length > WINDOWS_A_PAGE) break;
  }
  return windows;
}

function cut(segment: Segment, newestFirst: boolean, atMost = Number.POSITIVE_INFINITY): Segment[] {
  const windows: Segment[] = [];
  if (newestFirst) {
    for (let to = segment.to; to >= segment.from && windows.length < atMost; to -= WINDOW_ROWS) {
      windows.push({ from: Math.max(segment.from, to - WINDOW_ROWS + 1), to });
    }
    return windows;
  }
  for (let from = segment.from; from <= segment.to && windows.length < atMost; from += WINDOW_ROWS) {
    windows.push({ from, to: Math.min(segment.to, from + WINDOW_ROWS - 1) });
  }
  return windows;
}

type Select = (from: number, to: number, limit: number) => StoredRow[];

function statementOf(database: ReadDatabase, filter: RecordFilter, agent: number | undefined): Select {
  const parts = ["n >= ? AND n <= ?"];
  const values: unknown[] = [];
  const kinds = filter.kinds?.map((kind) => recordKinds[kind]);
  if (kinds !== undefined) parts.push(`kind IN (${kinds.join(", ")})`);
  const need = (sql: string, value: unknown): void => {
    if (value === undefined) return;
    parts.push(sql);
    values.push(value);
  };
  need("agent = ?", agent);
  need("wallMs >= ?", filter.sinceMs);
  need("wallMs <= ?", filter.untilMs);
  // A first sieve on the bytes; what passes is parsed and looked at again.
  need("instr(body, ?) > 0", filter.key === undefined ? undefined : `"key":${JSON.stringify(filter.key)}`);
  need("instr(body, ?) > 0", filter.rule === undefined ? undefined : JSON.stringify(filter.rule));
  const order = filter.newestFirst ? "DESC" : "ASC";
  const sql = `SELECT ${COLUMNS} FROM record WHERE ${parts.join(" AND ")} ORDER BY n ${order} LIMIT ?`;
  const statement = database.prepare(sql);
  return (from, to, limit) => statement.all(from, to, ...values, limit) as StoredRow[];
}

function fits(row: StoredRow, filter: RecordFilter): boolean {
  if (filter.key === undefined && filter.rule === undefined) return true;
  const body = JSON.parse(row.body) as { key?: string; rules?: { id: string; fired: boolean }[] };
  if (filter.key !== undefined && body.key !== filter.key) return false;
  return filter.rule === undefined || (body.rules ?? []).some((rule) => rule.id === filter.rule && rule.fired);
}
