import { recordKinds } from "../../../sync/kinds.ts";
import type { RestoredAction } from "../messages.ts";
import type { ReadDatabase } from "../sqlite-reader.ts";
import type { Database, Statement } from "../sqlite-writer.ts";

const PRUNE_ROWS = 200;
const { proposal: PROPOSAL, intent: INTENT, outcome: OUTCOME, approval: APPROVAL } = recordKinds;

/** What the writer reads of a line to know where an action stands. */
interface Line {
  readonly decision?: string;
  readonly proposal?: string;
  readonly intent?: string;
  readonly state?: string;
  readonly final?: boolean;
}

/**
 * Where the records of each action lie, and whether anything more is to come: made from the records themselves, in
 * their transaction, and so can be made again from them.
 */
export class ActionTable {
  readonly #database: Database;
  readonly #first: Statement;
  readonly #intended: Statement;
  readonly #step: Statement;
  readonly #approval: Statement;
  readonly #prune: Statement;

  constructor(database: Database) {
    this.#database = database;
    this.#first = database.prepare(
      "INSERT OR IGNORE INTO action (id, decision, n, intentN, lastN, approvals, open) VALUES (?, ?, ?, ?, ?, '[]', ?)",
    );
    this.#intended = database.prepare("UPDATE action SET intentN = ?, lastN = ? WHERE id = ?");
    this.#step = database.prepare("UPDATE action SET lastN = ?, open = ? WHERE id = ?");
    this.#approval = database.prepare("UPDATE action SET approvals = json_insert(approvals, '$[#]', ?) WHERE id = ?");
    this.#prune = database.prepare(
      `DELETE FROM action WHERE id IN (
         SELECT id FROM (SELECT id, n FROM action ORDER BY id LIMIT ${PRUNE_ROWS}) AS oldest
         WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = oldest.n))`,
    );
  }

  static isPart(kind: number): boolean {
    return kind === INTENT || kind === OUTCOME || kind === PROPOSAL || kind === APPROVAL;
  }

  /** Follows one record of the kinds of `isPart`. */
  apply(kind: number, id: string, n: number, body: string): void {
    const line = JSON.parse(body) as Line;
    if (kind === PROPOSAL) {
      const isOpen = line.state === "awaitingApproval" ? 1 : 0;
      this.#first.run(bytesOf(id), decisionOf(line), n, null, n, isOpen);
    } else if (kind === OUTCOME) this.#step.run(n, line.final === true ? 0 : 1, bytesOf(line.intent ?? ""));
    else if (kind === APPROVAL) this.#approval.run(n, bytesOf(line.proposal ?? ""));
    else if (line.proposal === undefined) this.#first.run(bytesOf(id), decisionOf(line), n, n, n, 1);
    else this.#intended.run(n, n, bytesOf(line.proposal));
  }

  /** Forgets some of the oldest actions whose records are gone: of those nothing can be said, open or not. */
  prune(): void {
    this.#prune.run();
  }

  /** From the log, when the table is of no use. */
  rebuild(): void {
    this.#database.exec("DELETE FROM action");
    const kinds = [INTENT, OUTCOME, PROPOSAL, APPROVAL].join(", ");
    const page = this.#database.prepare(
      `SELECT n, kind, lower(hex(id)) AS id, body FROM record WHERE kind IN (${kinds}) AND n > ? ORDER BY n LIMIT 500`,
    );
    for (let after = 0; ; ) {
      const rows = page.all(after) as { n: number; kind: number; id: string; body: string }[];
      for (const row of rows) this.apply(row.kind, row.id, row.n, row.body);
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.n;
    }
  }
}

function bytesOf(id: string): Buffer {
  return Buffer.from(id.replaceAll("-", ""), "hex");
}

function decisionOf({ decision }: Line): Buffer | null {
  return decision === undefined ? null : bytesOf(decision);
}

interface Row {
  readonly n: number;
  readonly intentN: number | null;
  readonly lastN: number;
  readonly approvals: string;
}

const COLUMNS = "n, intentN, lastN, approvals";

/** Actions of which more is to come, oldest first. */
export function openActionsIn(database: ReadDatabase): RestoredAction[] {
  const rows = database.prepare(`SELECT ${COLUMNS} FROM action WHERE open = 1 ORDER BY id`).all() as Row[];
  return withBodies(database, rows);
}

/** Actions by the decisions behind them: `ids` are those of decisions that lie near each other in time. */
export function actionsOfDecisions(database: ReadDatabase, ids: readonly string[]): RestoredAction[] {
  if (ids.length === 0) return [];
  const sorted = [...ids].sort();
  const find = database.prepare(
    `SELECT ${COLUMNS} FROM action WHERE id >= ? AND id < ? AND decision IN (SELECT unhex(value) FROM json_each(?)) ORDER BY n`,
  );
  const plain = sorted.map((id) => id.replaceAll("-", ""));
  const [low, high] = [momentOf(sorted[0] as string, 0), momentOf(sorted.at(-1) as string, 1)];
  return withBodies(database, find.all(low, high, JSON.stringify(plain)) as Row[]);
}

/** The action's id is made in the same millisecond as its decision's. */
function momentOf(id: string, laterMs: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16) + laterMs, 0, 6);
  return bytes;
}

export interface ActionFilter {
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly isOpen?: boolean | undefined;
  /** An action's id: only later ones (oldest first) or earlier ones (newest first). */
  readonly after?: string | undefined;
  readonly limit: number;
  readonly newestFirst: boolean;
}

/** A page of actions in the order in which they were proposed. */
export function actionPage(database: ReadDatabase, filter: ActionFilter): RestoredAction[] {
  const parts = ["id >= ? AND id < ?"];
  const values: unknown[] = [timeBytes(filter.sinceMs ?? 0), timeBytes((filter.untilMs ?? 2 ** 47) + 1)];
  if (filter.after !== undefined) {
    parts.push(filter.newestFirst ? "id < ?" : "id > ?");
    values.push(bytesOf(filter.after));
  }
  if (filter.isOpen === true) parts.push("open = 1");
  const order = filter.newestFirst ? "DESC" : "ASC";
  const find = database.prepare(
    `SELECT ${COLUMNS} FROM action WHERE ${parts.join(" AND ")} ORDER BY id ${order} LIMIT ?`,
  );
  return withBodies(database, find.all(...values, Math.min(filter.limit, 500)) as Row[]);
}

/** One action by its id. */
export function actionById(database: ReadDatabase, id: string): RestoredAction | undefined {
  const rows = database.prepare(`SELECT ${COLUMNS} FROM action WHERE id = ?`).all(bytesOf(id)) as Row[];
  return withBodies(database, rows)[0];
}

function timeBytes(wallMs: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.max(0, Math.floor(wallMs)), 0, 6);
  return bytes;
}

/** Actions whose first record is gone are left out: nothing can be said of them. */
function withBodies(database: ReadDatabase, rows: readonly Row[]): RestoredAction[] {
  const body = database.prepare("SELECT body FROM record WHERE n = ?").pluck();
  const bodyAt = (n: number | null): string | undefined =>
    n === null ? undefined : (body.get(n) as string | undefined);
  return rows.flatMap((row) => {
    const first = bodyAt(row.n);
    if (first === undefined) return [];
    const approvals = (JSON.parse(row.approvals) as number[]).flatMap((n) => bodyAt(n) ?? []);
    const intent = row.intentN === row.n ? first : bodyAt(row.intentN);
    const last = row.lastN === row.n || row.lastN === row.intentN ? undefined : bodyAt(row.lastN);
    return [{ first, intent, last, approvals }];
  });
}
