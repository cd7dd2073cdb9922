import type { Drop } from "../../sync/records.ts";

/** A row as it lies in the log. Whatever stands in its columns: nothing of it is believed yet. */
export interface LogRow {
  readonly n: number;
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  readonly kind: number;
  readonly hash: unknown;
  /** Undefined: it was left out, since something in it is private. */
  readonly body: unknown;
  /** Undefined where only the body tells: in an export. */
  readonly id?: unknown;
  readonly agent?: unknown;
  readonly wallMs?: unknown;
}

/** A start of the daemon as the table of starts tells it. */
export interface LogEpoch {
  readonly ordinal: number;
  readonly id: string;
  readonly previous: string | null;
  readonly bootId: string;
  readonly fingerprint: string;
  readonly startedWallMs: number;
  readonly startedBootMs: number;
  readonly reason: string;
}

/** Where a stream stands before its first row that is there. */
export interface LogStart {
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  readonly chain: string | null;
}

/** What can be verified: the database of a gateway, or an export of it. */
export interface LogSource {
  readonly epochs: readonly LogEpoch[];
  /** Names of agents by number; undefined where rows do not carry numbers. */
  readonly agents: ReadonlyMap<number, string> | undefined;
  /** The last row that is looked at: a log that runs goes on growing. */
  readonly lastN: number;
  /** Where the rows begin when they do not begin with the log. */
  readonly starts: readonly LogStart[] | undefined;
  /** Ranges that were dropped by records which are not among the rows. */
  readonly drops?: readonly Drop[] | undefined;
  /** Rows of the safety stream that tell of others (heads, closes, starts, drops), by epoch and seq. */
  witnesses(): Iterable<LogRow>;
  /** All rows in the order in which they lie there. */
  rows(): Iterable<LogRow>;
  /** The number of the row with this place; undefined when there is none. */
  find(epoch: number, stream: number, seq: number): number | undefined;
}
