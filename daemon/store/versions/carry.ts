import { bodyHash } from "../heads.ts";
import { type Database, type Statement, sqliteCode } from "../sqlite-writer.ts";
import { ActionTable } from "../tables/action.ts";

const CHUNK_ROWS = 2000;
/** Beyond so many numbers without a row that can be read the file has ended. */
const MOST_SKIPPED = 2 ** 40;

type Row = Record<string, unknown> & { n: number; body: string; hash: Buffer };

/** How a database came along with one of a newer form. */
export interface Carried {
  readonly records: number;
  /** What was not brought over, and why: for people. */
  readonly notes: readonly string[];
}

/**
 * Brings `into`, an older copy of the database at `newer`, to where that one is: its further records as they are, each
 * held against its hash, and every table that this version knows. May be run again after it was cut short, and throws
 * where trying again may help. `losing` is called when records stay behind. Tables of which this version's columns are not all there stay as they were copied.
 */
export function carryOver(newer: string, into: Database, losing: () => void = () => undefined): Carried {
  const notes: string[] = [];
  into.prepare("ATTACH ? AS newer").run(newer);
  try {
    const tables = into.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'").pluck().all() as string[];
    const records = tables.includes("record") ? carryRecords(into, notes, losing) : 0;
    into.transaction(() => {
      for (const table of tables)
        if (table !== "record" && !replaceTable(into, table, notes)) failSafe(into, table, notes);
      if (tables.includes("dropped")) deleteDropped(into);
    })();
    return { records, notes };
  } finally {
    into.exec("DETACH newer");
  }
}

/** Whether the newer log went on from this one: it knows the start that this one ends with. */
export function isBeginning(newer: string, older: Database): boolean {
  const hasEpochs = older.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'epoch'").get() !== undefined;
  if (!hasEpochs) return true;
  older.prepare("ATTACH ? AS newer").run(newer);
  try {
    const last = older.prepare("SELECT ordinal, id FROM main.epoch ORDER BY ordinal DESC LIMIT 1").get();
    const same = "SELECT 1 FROM newer.epoch WHERE ordinal = @ordinal AND id = @id";
    return last === undefined || older.prepare(same).get(last) !== undefined;
  } finally {
    older.exec("DETACH newer");
  }
}

function carryRecords(into: Database, notes: string[], losing: () => void): number {
  const columns = sharedColumns(into, "record");
  if (columns === undefined) {
    losing();
    notes.push("the records that the newer version wrote have another form");
    return 0;
  }
  const page = into.prepare(`SELECT ${columns} FROM newer.record WHERE n > ? ORDER BY n LIMIT ${CHUNK_ROWS}`);
  const insert = into.prepare(`INSERT INTO main.record (${columns}) VALUES (${columns.replaceAll(/"(\w+)"/g, "@$1")})`);
  let refused = "";
  const put = (row: Row): number => {
    try {
      return insert.run(row).changes;
    } catch (error) {
      throwPassing(error);
      refused = reason(error);
      return 0;
    }
  };
  const copy = into.transaction((rows: readonly Row[]) => rows.reduce((sum, row) => sum + put(row), 0));
  let [carried, left, after] = [0, 0, 0];
  after = Number(into.prepare("SELECT coalesce(max(n), 0) FROM main.record").pluck().get());
  for (;;) {
    const told = notes.length;
    const rows = readOn(page, after, notes);
    const whole = rows.filter((row) => typeof row.body === "string" && bodyHash(row.body).equals(row.hash));
    if (whole.length < rows.length) notes.push(`${rows.length - whole.length} records do not fit their hash`);
    // Before anything beyond it is copied: after a cut it would not be come upon again.
    if (notes.length > told) losing();
    const taken = copy(whole);
    if (taken < whole.length) losing();
    carried += taken;
    left += whole.length - taken;
    const last = rows.at(-1);
    if (last === undefined) break;
    after = last.n;
  }
  if (left > 0) notes.push(`${left} records could not be brought over: ${refused}`);
  return carried;
}

/** The next rows after `after`, beyond what is damaged: the least step over it that leads to a row. Empty at the end. */
function readOn(page: Statement, after: number, notes: string[]): Row[] {
  let [failed, step] = [-1, 0];
  let rows = readPage(page, after);
  while (rows === undefined && step < MOST_SKIPPED) {
    failed = step;
    step = Math.max(1, step * 2);
    rows = readPage(page, after + step);
  }
  if (failed < 0) return rows ?? [];
  while (rows !== undefined && step - failed > 1) {
    const middle = Math.floor((failed + step) / 2);
    const nearer = readPage(page, after + middle);
    if (nearer === undefined) failed = middle;
    else [step, rows] = [middle, nearer];
  }
  notes.push(`records after n ${after} could not be read`);
  return rows ?? [];
}

/** As far as it can be read; undefined: not even one row. */
function readPage(page: Statement, after: number): Row[] | undefined {
  const rows: Row[] = [];
  try {
    for (const row of page.iterate(after)) rows.push(row as Row);
  } catch (error) {
    throwPassing(error);
    return rows.length > 0 ? rows : undefined;
  }
  return rows;
}

/** A full disk, a card that was pulled: it is tried again. What was read and is damaged stays so. */
function throwPassing(error: unknown): void {
  if (
    /^SQLITE_(?!IOERR_(SHORT_)?READ)(FULL|IOERR|READONLY|CANTOPEN|BUSY|LOCKED|NOMEM|INTERRUPT)/.test(sqliteCode(error))
  )
    throw error;
}

/** False where the table stays as it was copied. */
function replaceTable(into: Database, table: string, notes: string[]): boolean {
  const columns = sharedColumns(into, table);
  if (columns === undefined) {
    notes.push(`the table ${table} of the newer version has another form`);
    return false;
  }
  let isReplaced = true;
  into.exec("SAVEPOINT one");
  try {
    into.exec(
      `DELETE FROM main.${table}; INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM newer.${table}`,
    );
  } catch (error) {
    throwPassing(error);
    isReplaced = false;
    into.exec("ROLLBACK TO one");
    notes.push(`the table ${table} could not be brought over: ${reason(error)}`);
  }
  into.exec("RELEASE one");
  return isReplaced;
}

/**
 * What would do harm as it was before: actions that have gone on since are made again from the records; modes may have
 * been tightened.
 */
function failSafe(into: Database, table: string, notes: string[]): void {
  if (table === "action") new ActionTable(into).rebuild();
  if (table !== "mode") return;
  into.exec("DELETE FROM main.mode; INSERT INTO main.mode (scope, mode) VALUES ('gateway', 'observe')");
  notes.push("the modes are not known: the gateway observes until a person says otherwise");
}

/** This version's columns of a table, when the newer one has them all. */
function sharedColumns(into: Database, table: string): string | undefined {
  const columnsIn = (schema: string): string[] =>
    into.prepare(`SELECT name FROM pragma_table_info(?, ?)`).pluck().all(table, schema) as string[];
  const ours = columnsIn("main");
  const theirs = columnsIn("newer");
  return ours.every((name) => theirs.includes(name)) ? ours.map((name) => `"${name}"`).join(", ") : undefined;
}

/** What the newer version let go stays gone: the copy has it still. */
function deleteDropped(into: Database): void {
  into.exec(
    `DELETE FROM main.record WHERE EXISTS (
       SELECT 1 FROM main.dropped AS gone
       WHERE gone.epoch = record.epoch AND gone.stream = record.stream AND record.seq <= gone.deletedSeq)`,
  );
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
