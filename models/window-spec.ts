import type { FeatureCall } from "../config/feature-syntax.ts";
import type { FieldRow, FieldSpec, Waiting } from "./field-memory.ts";
import type { InputRow } from "./tensors.ts";

/** What an agent's configuration says of its window, in milliseconds. */
export interface WindowSpec {
  readonly spanMs: number;
  /** How far behind the newest reading of its key a reading may be. */
  readonly lateMs: number;
  readonly minimumCoverage: number;
  readonly maxKeys: number;
  /** Per key and field. */
  readonly maxReadings: number;
  readonly expectEveryMs?: number | undefined;
  /** How far ahead of our clock a reading may be. */
  readonly futureMs: number;
  readonly fields: readonly FieldSpec[];
  /** For each source the indexes of the fields it carries; left out, one source carries all. */
  readonly sources?: readonly (readonly number[])[] | undefined;
  readonly features: readonly FeatureCall[];
  /** Told when a key is forgotten for a newer one, so that what else is kept of it can go too. */
  readonly onEvict?: ((key: string) => void) | undefined;
}

export type Inserted = "accepted" | "late" | "future";

export interface OpenRow {
  readonly ok: true;
  /** The features in their order; without features, or without a window, the fields. NaN or undefined where there is no value. */
  readonly values: InputRow;
  /** Newest value of each field; undefined where there is none. */
  readonly fields: FieldRow;
  readonly coverage: number;
  readonly count: number;
  readonly endMs: number;
}

export interface NoRow {
  readonly ok: false;
  readonly reason: "unknownKey" | "empty" | "coverage" | Waiting;
}
