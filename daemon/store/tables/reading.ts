import type { ReadingBlock } from "../messages.ts";
import type { Database, Statement } from "../sqlite-writer.ts";

/** Rows of one agent lie together and in order of acceptance: n = agent · AGENT_SPAN + running number. */
const AGENT_SPAN = 2 ** 40;
const FIXED = 2;

/** The journal of accepted readings: one row a commit and agent, pruned behind the window. */
export class ReadingTable {
  readonly #insert: Statement;
  readonly #lastOf: Statement;
  readonly #firstKept: Statement;
  readonly #prune: Statement;
  readonly #next = new Map<number, number>();

  constructor(database: Database) {
    this.#insert = database.prepare("INSERT INTO reading VALUES (?, ?, ?)");
    this.#lastOf = database.prepare("SELECT max(n) FROM reading WHERE n >= ? AND n < ?").pluck();
    this.#firstKept = database
      .prepare("SELECT n FROM reading WHERE n >= ? AND n < ? AND newestMs >= ? ORDER BY n LIMIT 1")
      .pluck();
    this.#prune = database.prepare("DELETE FROM reading WHERE n >= ? AND n < ?");
  }

  append(block: ReadingBlock): void {
    const n = this.#next.get(block.agent) ?? this.#begin(block.agent);
    this.#insert.run(n, newestOf(block), packReadings(block));
    this.#next.set(block.agent, n + 1);
  }

  /** Deletes the rows before the first that still holds a reading as new as this. */
  prune(agent: number, beforeMs: number): void {
    const from = agent * AGENT_SPAN;
    const next = this.#next.get(agent) ?? this.#begin(agent);
    const kept = (this.#firstKept.get(from, next, beforeMs) as number | undefined) ?? next;
    if (kept > from) this.#prune.run(from, kept);
  }

  reload(): void {
    this.#next.clear();
  }

  #begin(agent: number): number {
    const last = this.#lastOf.get(agent * AGENT_SPAN, (agent + 1) * AGENT_SPAN) as number | null;
    return last === null ? agent * AGENT_SPAN : last + 1;
  }
}

export function restoreReadings(database: Database): ReadingBlock[] {
  const rows = database.prepare("SELECT n, body FROM reading ORDER BY n").all() as { n: number; body: Buffer }[];
  return rows.map((row) => unpackReadings(Math.floor(row.n / AGENT_SPAN), row.body));
}

/** Calls back for each reading of one agent, in the order of acceptance. */
export function eachReading(
  blocks: readonly ReadingBlock[],
  agent: number,
  take: (key: string, timeMs: number, arrivalMs: number, values: (number | string | boolean | null)[]) => void,
): void {
  for (const block of blocks) {
    if (block.agent !== agent) continue;
    const others = new Map(block.others);
    const step = FIXED + block.width;
    for (let at = 0; at < block.keys.length; at++) {
      const start = at * step;
      const values: (number | string | boolean | null)[] = [];
      for (let column = FIXED; column < step; column++) {
        const value = block.numbers[start + column] as number;
        values.push(Number.isNaN(value) ? (others.get(start + column) ?? null) : value);
      }
      take(block.keys[at] as string, block.numbers[start] as number, block.numbers[start + 1] as number, values);
    }
  }
}

function newestOf(block: ReadingBlock): number {
  let newest = Number.NEGATIVE_INFINITY;
  const step = FIXED + block.width;
  for (let at = 0; at < block.keys.length; at++) newest = Math.max(newest, block.numbers[at * step] as number);
  return Math.floor(newest);
}

/** Layout: length of the text (4 bytes), text (JSON of width, keys, others; padded to 8), numbers as 64-bit floats. */
export function packReadings(block: ReadingBlock): Buffer {
  const keys = compactKeys(block.keys);
  const text = Buffer.from(
    JSON.stringify(block.others.length === 0 ? [block.width, keys] : [block.width, keys, block.others]),
  );
  const start = padded(4 + text.length);
  const packed = Buffer.alloc(start + 8 * block.numbers.length);
  packed.writeUInt32LE(text.length, 0);
  text.copy(packed, 4);
  for (let at = 0; at < block.numbers.length; at++) packed.writeDoubleLE(block.numbers[at] as number, start + 8 * at);
  return packed;
}

export function unpackReadings(agent: number, packed: Buffer): ReadingBlock {
  const length = packed.readUInt32LE(0);
  const [width, keys, others = []] = JSON.parse(packed.toString("utf8", 4, 4 + length)) as [
    number,
    string | string[],
    [number, string | boolean][]?,
  ];
  const start = padded(4 + length);
  const numbers = new Float64Array((packed.length - start) / 8);
  for (let at = 0; at < numbers.length; at++) numbers[at] = packed.readDoubleLE(start + 8 * at);
  const count = numbers.length / (FIXED + width);
  return { agent, width, keys: typeof keys === "string" ? new Array<string>(count).fill(keys) : keys, numbers, others };
}

/** Many agents have one key: it is written once. */
function compactKeys(keys: string[]): string | string[] {
  const first = keys[0];
  return first !== undefined && keys.every((key) => key === first) ? first : keys;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
