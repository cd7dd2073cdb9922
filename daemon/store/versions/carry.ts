import { bodyHash } from "../heads.ts";
import { type Database, isDamage, sqliteCode } from "../sqlite-writer.ts";

const CHUNK_ROWS = 2000;

type Row = Record<string, unknown> & { n: number; body: string; hash: Buffer };

/** How a database came along with one of a newer form. */
export interface Carried {
  readonly records: number;
  /** What was not brought over, and why: for people. */
  readonly notes: readonly string[];
}

/**
 * Brings `into`, an older copy of the database at `newer`, to where that one is: its further records as they are, each
 * held against its hash, and every table that this version knows. May be run again after it was cut short. Tables of
 * which this version's columns are not all there stay as they were copied.
 */
export function carryOver(newer: string, into: Database): Carried {
  const notes: string[] = [];
  into.prepare("ATTACH ? AS newer").run(newer);
  try {
    const tables = into.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'").pluck().all() as string[];
    const records = tables.includes("record") ? carryRecords(into, notes) : 0;
    into.transaction(() => {
      for (const table of tables) if (table !== "record") replaceTable(into, table, notes);
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

function carryRecords(into: Database, notes: string[]): number {
  const columns = sharedColumns(into, "record");
  if (columns === undefined) {
    notes.push("the records that the newer version wrote have another form");
    return 0;
  }
  const page = into.prepare(`SELECT ${columns} FROM newer.record WHERE n > ? ORDER BY n LIMIT ${CHUNK_ROWS}`);
  const insert = into.prepare(`INSERT INTO main.record (${columns}) VALUES (${columns.replaceAll(/"(\w+)"/g, "@$1")})`);
  const copy = into.transaction((rows: readonly Row[]) => {
    for (const row of rows) insert.run(row);
  });
  let carried = 0;
  let after = Number(into.prepare("SELECT coalesce(max(n), 0) FROM main.record").pluck().get());
  try {
    for (;;) {
      const rows = page.all(after) as Row[];
      const whole = rows.filter((row) => typeof row.body === "string" && bodyHash(row.body).equals(row.hash));
      if (whole.length < rows.length) notes.push(`${rows.length - whole.length} records do not fit their hash`);
      copy(whole);
      carried += whole.length;
      const last = rows.at(-1);
      if (last === undefined) return carried;
      after = last.n;
    }
  } catch (error) {
    assertOfTheFile(error);
    notes.push(`records after n ${after} could not be brought over: ${reason(error)}`);
    return carried;
  }
}

function replaceTable(into: Database, table: string, notes: string[]): void {
  const columns = sharedColumns(into, table);
  if (columns === undefined) {
    notes.push(`the table ${table} of the newer version has another form`);
    return;
  }
  into.exec("SAVEPOINT one");
  try {
    into.exec(
      `DELETE FROM main.${table}; INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM newer.${table}`,
    );
  } catch (error) {
    assertOfTheFile(error);
    into.exec("ROLLBACK TO one");
    notes.push(`the table ${table} could not be brought over: ${reason(error)}`);
  }
  into.exec("RELEASE one");
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

/** A full disk or one that fails is none of the file's own faults: it passes, and the way back is tried again then. */
function assertOfTheFile(error: unknown): void {
  if (
    !isDamage(error) &&
    /^SQLITE_(?:FULL|IOERR(?!_(?:SHORT_)?READ)|NOMEM|BUSY|LOCKED|READONLY|CANTOPEN|INTERRUPT)/.test(sqliteCode(error))
  )
    throw error;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
