import { HASH_BYTES, type Heads } from "../heads.ts";
import type { Database, Statement } from "../sqlite-writer.ts";

const ID_BYTES = 16;

/** Appends to the log. Numbers n and seq are given here, in the row's own transaction. */
export class RecordTable {
  readonly #insert: Statement;
  readonly #heads: Heads;
  readonly #epoch: number;
  // Bound values are copied at once, so one buffer each serves all rows.
  readonly #id = Buffer.alloc(ID_BYTES);
  readonly #hash = Buffer.alloc(HASH_BYTES);
  #lastN: number;
  #savedN: number;

  constructor(database: Database, heads: Heads, epoch: number, lastN: number) {
    this.#insert = database.prepare("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.#heads = heads;
    this.#epoch = epoch;
    this.#lastN = lastN;
    this.#savedN = lastN;
  }

  append(stream: number, kind: number, agent: number, id: string, wallMs: number, body: string): number {
    const seq = this.#heads.add(stream, body, this.#hash);
    const n = this.#lastN + 1;
    writeId(this.#id, id);
    this.#insert.run(n, this.#epoch, stream, seq, this.#id, kind, agent, wallMs, body, this.#hash);
    this.#lastN = n;
    return n;
  }

  get lastN(): number {
    return this.#lastN;
  }

  save(): void {
    this.#heads.save();
    this.#savedN = this.#lastN;
  }

  restore(): void {
    this.#heads.restore();
    this.#lastN = this.#savedN;
  }
}

function writeId(into: Buffer, id: string): void {
  into.write(id.slice(0, 8) + id.slice(9, 13) + id.slice(14, 18) + id.slice(19, 23) + id.slice(24), 0, ID_BYTES, "hex");
}
