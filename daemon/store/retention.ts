import type { Stream } from "../../sync/kinds.ts";
import { crashpoint } from "../crashpoint.ts";
import { dropBody } from "./bodies.ts";
import { nextChain } from "./heads.ts";
import type { LogTables } from "./log-tables.ts";
import type { StoreLimits } from "./messages.ts";
import type { Database, Statement } from "./sqlite-writer.ts";
import { droppedHead } from "./tables/epoch.ts";

const WALK_ROWS = 1000;
const DELETE_ROWS = 500;
/** When rows come in faster than they go, more of them go at once. */
const PRESSED_DELETE_ROWS = 2000;
const PRESSED_AT = 0.92;
const DAY_MS = 86_400_000;
const BEGIN_AT = 0.85;
const END_AT = 0.8;
/** A range this part of the quota is dropped at a time: each costs a record in the stream that is never dropped. */
const RANGE_PART = 20;
const RANGE_LEAST_BYTES = 65_536;
/** Telemetry and quiet passes keep this part of the quota before the next stream is touched. */
const FLOOR_PART = 16;

/** Why rows are to go before their time: the disk has no room, or the quota has none for the next commit. */
export type Pressure = "none" | "disk" | "quota";

interface Range {
  readonly stream: Stream;
  readonly epoch: number;
  readonly epochId: string;
  readonly from: number;
  readonly chainBefore: Buffer | undefined;
  readonly reason: "age" | "size";
  readonly targetBytes: number;
  readonly cutN: number;
  to: number;
  rows: number;
  bytes: number;
  chain: Buffer | undefined;
}

export interface RetentionDeps {
  readonly database: Database;
  readonly tables: LogTables;
  readonly ordinal: number;
  readonly quotaBytes: number;
  readonly pageBytes: number;
  readonly limits: StoreLimits;
  readonly transact: (work: () => void) => void;
}

/**
 * Removes the oldest rows of one (epoch, stream) at a time, in short steps between commits: the range is walked for its
 * chain values, announced by a record in the safety stream, and only then deleted. What was announced is deleted even
 * if the process ends in between.
 */
export class Retention {
  readonly #deps: RetentionDeps;
  readonly #page: Statement;
  readonly #delete: Statement;
  readonly #deleted: Statement;
  readonly #pending: Statement;
  readonly #oldest = [0, 0, 0, 0];
  #range: Range | undefined;
  #isDeleting: boolean;
  #isWanted = false;
  #isPressed = false;
  #droppedRows = 0;

  constructor(deps: RetentionDeps) {
    this.#deps = deps;
    const { database } = deps;
    this.#page = database.prepare(
      `SELECT n, seq, hash, octet_length(body) AS bytes FROM record
       WHERE epoch = ? AND stream = ? AND seq > ? ORDER BY seq LIMIT ${WALK_ROWS}`,
    );
    this.#delete = database.prepare("DELETE FROM record WHERE epoch = ? AND stream = ? AND seq > ? AND seq <= ?");
    this.#deleted = database.prepare("UPDATE dropped SET deletedSeq = ? WHERE epoch = ? AND stream = ?");
    this.#pending = database.prepare(
      "SELECT epoch, stream, toSeq, deletedSeq FROM dropped WHERE deletedSeq < toSeq LIMIT 1",
    );
    this.#isDeleting = this.#pending.get() !== undefined;
  }

  get droppedRows(): number {
    return this.#droppedRows;
  }

  /** The quota is near: letting rows go matters more than the time of the next commit. */
  get isPressed(): boolean {
    return this.#isPressed;
  }

  /** Looks whether something is to go. True when `step` has work. */
  look(lifeMs: number, pressure: Pressure = "none"): boolean {
    if (this.#isDeleting || this.#range !== undefined) return true;
    this.#range = this.#bySize(pressure) ?? this.#byAge(lifeMs);
    return this.#range !== undefined;
  }

  /** One short piece of work. True when there is more. */
  step(wallMs: number, lifeMs: number): boolean {
    if (this.#isDeleting) this.#deleteSome();
    else if (this.#range === undefined) return this.look(lifeMs);
    else if (!this.#walk(this.#range)) return true;
    else this.#announce(this.#range, wallMs);
    return this.look(lifeMs);
  }

  #liveBytes(): number {
    const { database, pageBytes } = this.#deps;
    const pages = Number(database.pragma("page_count", { simple: true }));
    return (pages - Number(database.pragma("freelist_count", { simple: true }))) * pageBytes;
  }

  #bySize(pressure: Pressure): Range | undefined {
    const { quotaBytes, tables } = this.#deps;
    const live = this.#liveBytes();
    this.#isPressed = live > PRESSED_AT * quotaBytes;
    if (live > BEGIN_AT * quotaBytes) this.#isWanted = true;
    else if (live <= END_AT * quotaBytes) this.#isWanted = false;
    if (!this.#isWanted && pressure === "none") return undefined;
    const target = Math.max(RANGE_LEAST_BYTES, quotaBytes / RANGE_PART);
    for (const stream of [3, 2] as const) {
      if (tables.sizes.bytesOf(stream) <= quotaBytes / FLOOR_PART) continue;
      const range = this.#first(stream, "size", target, Number.MAX_SAFE_INTEGER);
      if (range !== undefined) return range;
    }
    // A disk that others fill is no reason to forget decisions; a quota that is reached is.
    return this.#isWanted || pressure === "quota" ? this.#first(1, "size", target, Number.MAX_SAFE_INTEGER) : undefined;
  }

  #byAge(lifeMs: number): Range | undefined {
    const { database, limits, quotaBytes } = this.#deps;
    const days = limits.retention;
    const mark = database.prepare("SELECT max(n) FROM ageMark WHERE lifeMs <= ?").pluck();
    const limitsOf: [Stream, number][] = [
      [3, days.telemetryDays],
      [2, days.quietDays],
      [1, days.decisionsDays],
    ];
    for (const [stream, keepDays] of limitsOf) {
      const cutN = mark.get(lifeMs - keepDays * DAY_MS) as number | null;
      if (cutN === null) continue;
      const target = Math.max(RANGE_LEAST_BYTES, quotaBytes / RANGE_PART);
      const range = this.#first(stream, "age", target, cutN);
      if (range !== undefined) return range;
    }
    return undefined;
  }

  /** The oldest rows of a stream that may go: nothing when the first of them is not old enough. */
  #first(stream: Stream, reason: "age" | "size", targetBytes: number, cutN: number): Range | undefined {
    const { database } = this.#deps;
    const epochs = database.prepare(
      "SELECT ordinal, lower(hex(id)) AS id FROM epoch WHERE ordinal >= ? ORDER BY ordinal",
    );
    for (const epoch of epochs.all(this.#oldest[stream]) as { ordinal: number; id: string }[]) {
      const start = droppedHead(database, epoch.ordinal, stream);
      const first = this.#page.get(epoch.ordinal, stream, start.seq) as { n: number; seq: number } | undefined;
      if (first === undefined) {
        if (epoch.ordinal < this.#deps.ordinal) this.#oldest[stream] = epoch.ordinal + 1;
        continue;
      }
      if (first.n > cutN) return undefined;
      return {
        stream,
        epoch: epoch.ordinal,
        epochId: epoch.id,
        from: start.seq + 1,
        chainBefore: start.chain,
        reason,
        targetBytes,
        cutN,
        to: start.seq,
        rows: 0,
        bytes: 0,
        chain: start.chain,
      };
    }
    return undefined;
  }

  /** Follows the chain through some more rows. True when the range is complete. */
  #walk(range: Range): boolean {
    const rows = this.#page.all(range.epoch, range.stream, range.to) as {
      n: number;
      seq: number;
      hash: Buffer;
      bytes: number;
    }[];
    for (const row of rows) {
      if (row.n > range.cutN || range.bytes >= range.targetBytes) return true;
      range.chain =
        range.chain === undefined || row.seq !== range.to + 1 ? undefined : nextChain(range.chain, row.hash);
      range.to = row.seq;
      range.rows += 1;
      range.bytes += row.bytes;
    }
    return rows.length < WALK_ROWS;
  }

  #announce(range: Range, wallMs: number): void {
    this.#range = undefined;
    if (range.rows === 0) return;
    const { tables, transact, database } = this.#deps;
    const { stream, epoch, epochId, from, to, rows, bytes, reason } = range;
    const chainBefore = range.chainBefore?.toString("hex") ?? null;
    const chainAfter = range.chain?.toString("hex") ?? null;
    transact(() => {
      tables.writeHeads("chainHead", wallMs);
      const drop = {
        epoch,
        epochId,
        stream,
        from,
        to,
        rows,
        bytes,
        chainBefore,
        chainAfter,
        reason,
        at: Math.floor(wallMs),
      };
      tables.write(0, "drop", wallMs, (id) => dropBody(id, drop));
      database
        .prepare(
          `INSERT INTO dropped VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (epoch, stream) DO UPDATE SET
           toSeq = excluded.toSeq, chain = excluded.chain, rows = rows + excluded.rows, bytes = bytes + excluded.bytes`,
        )
        .run(epoch, stream, to, from - 1, range.chain ?? null, rows, bytes);
      tables.sizes.dropped(stream, rows, bytes);
    });
    this.#droppedRows += rows;
    this.#isDeleting = true;
    crashpoint("drop.announced");
  }

  #deleteSome(): void {
    const next = this.#pending.get() as
      | { epoch: number; stream: number; toSeq: number; deletedSeq: number }
      | undefined;
    if (next === undefined) {
      this.#isDeleting = false;
      return;
    }
    const atOnce = this.#isPressed ? PRESSED_DELETE_ROWS : DELETE_ROWS;
    const upTo = Math.min(next.toSeq, next.deletedSeq + atOnce);
    this.#deps.transact(() => {
      this.#delete.run(next.epoch, next.stream, next.deletedSeq, upTo);
      this.#deleted.run(upTo, next.epoch, next.stream);
    });
    crashpoint("drop.deleted");
  }
}
