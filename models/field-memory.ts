/** A field's value; undefined where an event has none. */
export type FieldValue = number | string | boolean | undefined;
export type FieldRow = readonly FieldValue[];

/** What an agent says of one of its fields. */
export interface FieldSpec {
  readonly name: string;
  readonly type?: "number" | "integer" | "boolean" | "string";
  /** A remembered value counts for this long after its own time. */
  readonly maxAgeMs?: number | undefined;
  /** When an event of its source has no value: `last` keeps the remembered one, `null` forgets it; `reject` is the source's affair. */
  readonly missing: "reject" | "last" | "null";
}

export type Waiting = `waiting:${string}` | `stale:${string}`;
const NEVER = Number.NEGATIVE_INFINITY;

/** The newest value of each field by event time, of one key. */
export class FieldMemory {
  readonly values: FieldValue[];
  /** Time of each value; −∞ for a field never seen. */
  readonly timesMs: Float64Array;

  constructor(fields: number) {
    this.values = new Array<FieldValue>(fields).fill(undefined);
    this.timesMs = new Float64Array(fields).fill(NEVER);
  }
}

/** How the fields of one agent are remembered and put together, prepared once. */
export class FieldRules {
  readonly count: number;
  readonly #nullable: readonly boolean[];
  readonly #maxAgeMs: readonly number[];
  readonly #waiting: readonly Waiting[];
  readonly #stale: readonly Waiting[];
  readonly #carried: readonly (readonly boolean[])[];

  /** `sources` names the fields that each source carries, by index; left out, there is one source with all of them. */
  constructor(fields: readonly FieldSpec[], sources: readonly (readonly number[])[] | undefined) {
    this.count = fields.length;
    this.#nullable = fields.map((field) => field.missing === "null");
    this.#maxAgeMs = fields.map((field) => field.maxAgeMs ?? Number.POSITIVE_INFINITY);
    this.#waiting = fields.map((field) => `waiting:${field.name}` as const);
    this.#stale = fields.map((field) => `stale:${field.name}` as const);
    this.#carried = (sources ?? [fields.keys()]).map((carried) => {
      const indexes = new Set(carried);
      return fields.map((_, at) => indexes.has(at));
    });
  }

  /** Takes over what this event says and nothing newer has said. At equal times the later arrival counts. */
  remember(memory: FieldMemory, values: FieldRow, timeMs: number, source: number): void {
    const carried = this.#carried[source];
    for (let at = 0; at < this.count; at++) {
      if (timeMs < (memory.timesMs[at] as number)) continue;
      const value = values[at];
      if (value === undefined && !(this.#nullable[at] && carried?.[at])) continue;
      memory.values[at] = value;
      memory.timesMs[at] = timeMs;
    }
  }

  /** The remembered values as of `endMs`, or the field that keeps them from being a row. */
  row(memory: FieldMemory, endMs: number): FieldValue[] | Waiting {
    const { count } = this;
    const row = new Array<FieldValue>(count);
    for (let at = 0; at < count; at++) {
      const timeMs = memory.timesMs[at] as number;
      if (endMs - timeMs <= (this.#maxAgeMs[at] as number) && timeMs !== NEVER) row[at] = memory.values[at];
      else if (!this.#nullable[at]) return (timeMs === NEVER ? this.#waiting[at] : this.#stale[at]) as Waiting;
    }
    return row;
  }
}
