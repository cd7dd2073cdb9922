import type Sqlite from "better-sqlite3";

/** Every column of a row, its bytes as text, so that rows can be compared. */
export interface Snapshot {
  readonly rows: ReadonlyMap<number, string>;
  /** The same without `n`, by what a row is called: epoch, stream and seq. */
  readonly places: ReadonlyMap<string, number>;
  readonly tables: string;
  readonly lastN: number;
  /** Rows were read up to a place that can not be read. */
  readonly isBroken: boolean;
}

// By a range of numbers, as all that reads the log asks: in a damaged tree another way may meet other rows.
const ALL = `SELECT n, epoch || '/' || stream || '/' || seq AS place,
  quote(epoch) || quote(stream) || quote(seq) || quote(id) || quote(kind) || quote(agent) || quote(wallMs) || quote(hash)
  || typeof(body) || body AS said FROM record WHERE n > ${-(2 ** 53)} ORDER BY n`;

/** What the log says, read without any of the code that is tried. */
export function snapshotOf(database: Sqlite.Database): Snapshot {
  const rows = new Map<number, string>();
  const places = new Map<string, number>();
  let isBroken = false;
  let tables = "";
  try {
    for (const row of database.prepare(ALL).iterate() as Iterable<{ n: number; place: string; said: string | null }>) {
      // What a damaged tree shows as rows without number or columns are no records.
      if (!Number.isSafeInteger(row.n) || row.said === null) continue;
      rows.set(row.n, row.said);
      places.set(row.place, row.n);
    }
    tables = JSON.stringify(["epoch", "agent"].map((name) => database.prepare(`SELECT * FROM ${name}`).raw().all()));
  } catch {
    // A damaged page: what came before it was read.
    isBroken = true;
  }
  return { rows, places, tables, lastN: Math.max(0, ...rows.keys()), isBroken };
}

export interface Difference {
  /** The number of the first row that was changed, removed or put in. */
  readonly firstN: number;
  /** Every row is there as it was, but under another number. */
  readonly isOrderOnly: boolean;
}

/** What is different; undefined when no record is. */
export function differenceOf(before: Snapshot, after: Snapshot): Difference | undefined {
  let firstN = Number.POSITIVE_INFINITY;
  for (const [n, said] of before.rows) if (after.rows.get(n) !== said) firstN = Math.min(firstN, n);
  for (const n of after.rows.keys()) if (!before.rows.has(n)) firstN = Math.min(firstN, n);
  if (firstN === Number.POSITIVE_INFINITY)
    return after.isBroken || before.tables !== after.tables
      ? { firstN: Number.POSITIVE_INFINITY, isOrderOnly: false }
      : undefined;
  const sorted = ({ rows }: Snapshot): string => [...rows.values()].sort().join("\n");
  return { firstN, isOrderOnly: !after.isBroken && sorted(before) === sorted(after) };
}
