import type { Database, Statement } from "../sqlite-writer.ts";

const STREAMS = 4;

/** Rows and bytes of bodies by stream: what retention goes by. In memory; written each minute, recounted from there. */
export class StreamSizeTable {
  readonly #database: Database;
  readonly #put: Statement;
  readonly #rows = new Array<number>(STREAMS).fill(0);
  readonly #bytes = new Array<number>(STREAMS).fill(0);
  #saved: [number[], number[]] = [[], []];

  constructor(database: Database) {
    this.#database = database;
    this.#put = database.prepare("INSERT OR REPLACE INTO streamSize VALUES (?, ?, ?)");
    const written = database.prepare("SELECT stream, rows, bytes FROM streamSize").all();
    for (const row of written as { stream: number; rows: number; bytes: number }[]) this.#add(row);
    const counted = Number(database.prepare("SELECT value FROM meta WHERE name = 'sizesAtN'").pluck().get() ?? 0);
    const since = database
      .prepare(
        "SELECT stream, count(*) AS rows, sum(octet_length(body)) AS bytes FROM record WHERE n > ? GROUP BY stream",
      )
      .all(counted);
    for (const row of since as { stream: number; rows: number; bytes: number }[]) this.#add(row);
  }

  added(stream: number, bytes: number): void {
    this.#rows[stream] = (this.#rows[stream] as number) + 1;
    this.#bytes[stream] = (this.#bytes[stream] as number) + bytes;
  }

  dropped(stream: number, rows: number, bytes: number): void {
    this.#rows[stream] = Math.max(0, (this.#rows[stream] as number) - rows);
    this.#bytes[stream] = Math.max(0, (this.#bytes[stream] as number) - bytes);
  }

  bytesOf(stream: number): number {
    return this.#bytes[stream] ?? 0;
  }

  allRows(): number {
    return this.#rows.reduce((sum, rows) => sum + rows, 0);
  }

  write(lastN: number): void {
    for (let stream = 0; stream < STREAMS; stream++) this.#put.run(stream, this.#rows[stream], this.#bytes[stream]);
    this.#database.prepare("INSERT OR REPLACE INTO meta VALUES ('sizesAtN', ?)").run(String(lastN));
  }

  save(): void {
    this.#saved = [[...this.#rows], [...this.#bytes]];
  }

  restore(): void {
    const [rows, bytes] = this.#saved;
    for (let stream = 0; stream < STREAMS; stream++) {
      this.#rows[stream] = rows[stream] ?? 0;
      this.#bytes[stream] = bytes[stream] ?? 0;
    }
  }

  #add(row: { stream: number; rows: number; bytes: number }): void {
    this.#rows[row.stream] = (this.#rows[row.stream] ?? 0) + row.rows;
    this.#bytes[row.stream] = (this.#bytes[row.stream] ?? 0) + row.bytes;
  }
}
