import Sqlite from "better-sqlite3";

/** What the log says about the messages of a run, found by the time that names each message. */
export interface RowSummary {
  /** Messages with a row. */
  readonly messages: number;
  /** Rows beyond the first of a message. */
  readonly twice: number;
  /** Rows whose answer did not come from the model. */
  readonly unanswered: number;
  /** Monotonic microseconds at which the row of message i was durable; 0 without a row. */
  readonly durableUs: Float64Array;
}

/** Joins the rows with the commits that made them durable. */
export function readRows(database: string, commits: Float64Array, firstTimeMs: number, count: number): RowSummary {
  const durableUs = new Float64Array(count);
  let messages = 0;
  let twice = 0;
  let unanswered = 0;
  let commit = 0;
  const file = new Sqlite(database, { readonly: true });
  for (const row of file.prepare("SELECT n, body FROM record ORDER BY n").raw().iterate() as Iterable<
    [number, string]
  >) {
    const [n, body] = row;
    const at = timeOf(body) - firstTimeMs;
    if (!(at >= 0 && at < count)) continue;
    while (commit < commits.length && (commits[commit] as number) < n) commit += 2;
    if (durableUs[at] !== 0) twice += 1;
    else messages += 1;
    if (durableUs[at] === 0) durableUs[at] = commits[commit + 1] ?? Number.NaN;
    if (body.includes('"source":"fallback"')) unanswered += 1;
  }
  file.close();
  return { messages, twice, unanswered, durableUs };
}

const TIMES = ['"eventTime":', '"time":'];

function timeOf(body: string): number {
  for (const name of TIMES) {
    const at = body.indexOf(name);
    if (at >= 0) return Number.parseInt(body.slice(at + name.length, at + name.length + 13), 10);
  }
  return Number.NaN;
}

/** What became of a run's actions, by the state of each one's last record; and of the decisions that had no answer. */
export function readEnds(database: string): { unanswered: number; ends: Record<string, number> } {
  const file = new Sqlite(database, { readonly: true });
  const ends = file
    .prepare(
      `SELECT json_extract(body, '$.state'), count(*) FROM record
       WHERE json_extract(body, '$.kind') = 'outcome' AND json_extract(body, '$.final') GROUP BY 1`,
    )
    .raw()
    .all() as [string, number][];
  const unanswered = file
    .prepare("SELECT count(*) FROM record WHERE json_extract(body, '$.source') = 'fallback'")
    .pluck()
    .get() as number;
  file.close();
  return { unanswered, ends: Object.fromEntries(ends) };
}
