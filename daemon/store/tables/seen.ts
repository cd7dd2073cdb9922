import type { SeenBlock } from "../messages.ts";
import type { Database, Statement } from "../sqlite-writer.ts";

/** Event ids that were decided on, one row a commit, bounded: the oldest rows go when enough newer ids are there. */
export class SeenTable {
  readonly #database: Database;
  readonly #insert: Statement;
  readonly #prune: Statement;
  readonly #remember: number;
  #rows: { n: number; count: number }[] = [];
  #ids = 0;

  constructor(database: Database, remember: number) {
    this.#database = database;
    this.#remember = remember;
    this.#insert = database.prepare("INSERT INTO seen VALUES (?, ?, ?)");
    this.#prune = database.prepare("DELETE FROM seen WHERE n <= ?");
    this.reload();
  }

  reload(): void {
    this.#rows = this.#database.prepare("SELECT n, count FROM seen ORDER BY n").all() as { n: number; count: number }[];
    this.#ids = this.#rows.reduce((sum, row) => sum + row.count, 0);
  }

  append(blocks: readonly SeenBlock[]): void {
    if (blocks.length === 0) return;
    const n = (this.#rows.at(-1)?.n ?? 0) + 1;
    const count = blocks.reduce((sum, block) => sum + block.ids.length, 0);
    this.#insert.run(n, count, JSON.stringify(blocks.map((block) => [block.agent, block.ids])));
    this.#rows.push({ n, count });
    this.#ids += count;
    this.#forget();
  }

  /** Rows go in lots, so that most commits touch only the newest page. */
  #forget(): void {
    const lot = Math.max(1, this.#remember >> 4);
    if (this.#ids < this.#remember + lot) return;
    let gone = 0;
    while (gone < this.#rows.length && this.#ids - (this.#rows[gone]?.count ?? 0) >= this.#remember) {
      this.#ids -= this.#rows[gone]?.count ?? 0;
      gone += 1;
    }
    const last = this.#rows[gone - 1];
    if (last === undefined) return;
    this.#prune.run(last.n);
    this.#rows.splice(0, gone);
  }
}

export function restoreSeen(database: Database): SeenBlock[] {
  const rows = database.prepare("SELECT body FROM seen ORDER BY n").pluck().all() as string[];
  return rows.flatMap((row) => (JSON.parse(row) as [number, string[]][]).map(([agent, ids]) => ({ agent, ids })));
}
