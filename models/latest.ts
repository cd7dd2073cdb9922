import {
  FieldMemory,
  type FieldRow,
  FieldRules,
  type FieldSpec,
  type FieldValue,
  type Waiting,
} from "./field-memory.ts";
import { type KeyEntry, KeyOrder } from "./key-order.ts";
import type { InputRow } from "./tensors.ts";
import type { Inserted, NoRow, OpenRow } from "./window-spec.ts";

/** What an agent without a window remembers by. */
export interface LatestSpec {
  readonly fields: readonly FieldSpec[];
  /** For each source the indexes of the fields it carries; left out, one source carries all. */
  readonly sources?: readonly (readonly number[])[] | undefined;
  readonly maxKeys: number;
  /** How far ahead of our clock a reading may be. */
  readonly futureMs: number;
  /** Told when a key is forgotten for a newer one. */
  readonly onEvict?: ((key: string) => void) | undefined;
}

export interface Latest {
  readonly keys: number;
  readonly evicted: number;
  insert(key: string, values: FieldRow, timeMs: number, nowMs: number, source?: number): Inserted;
  /**
   * Right after an insert of this key: the event's own values, with those of other sources beside them. Else, and after
   * `keysWithNews`, the newest value of each field. `atMs` is what ages are measured at, when later than the newest.
   */
  row(key: string, atMs?: number): OpenRow | NoRow;
  keysWithNews(): string[];
}

/** The newest values per key, for agents whose fields go to the model as they are. Pure; all times are given. */
export function createLatest(spec: LatestSpec): Latest {
  return new LatestValues(spec);
}

class LatestState implements KeyEntry {
  readonly key: string;
  older: KeyEntry | undefined = undefined;
  newer: KeyEntry | undefined = undefined;
  touched = 0;
  newestMs = Number.NEGATIVE_INFINITY;
  /** The newest event's values, while it is the newest in every field: nothing has to be put together then. */
  whole: FieldRow | undefined = undefined;
  /** Field by field, once an event did not have all of them. */
  memory: FieldMemory | undefined = undefined;

  constructor(key: string) {
    this.key = key;
  }
}

class LatestValues implements Latest {
  evicted = 0;
  readonly #spec: LatestSpec;
  readonly #rules: FieldRules;
  readonly #states: KeyOrder<LatestState>;
  #newsMark = 0;
  /** The event just inserted, when it is older than what is remembered: its pass is about its own values. */
  #belated: { readonly key: string; readonly values: FieldRow; readonly timeMs: number } | undefined;

  constructor(spec: LatestSpec) {
    this.#spec = spec;
    this.#rules = new FieldRules(spec.fields, spec.sources);
    this.#states = new KeyOrder(spec.maxKeys);
  }

  get keys(): number {
    return this.#states.size;
  }

  insert(key: string, values: FieldRow, timeMs: number, nowMs: number, source = 0): Inserted {
    if (!(timeMs <= nowMs + this.#spec.futureMs)) return "future";
    let state = this.#states.get(key);
    if (state === undefined) {
      state = new LatestState(key);
      this.#add(state);
    }
    this.#states.touch(state);
    const isBelated = timeMs < state.newestMs;
    this.#belated = isBelated ? { key, values, timeMs } : undefined;
    if (isBelated && state.whole !== undefined) return "accepted";
    if (!isBelated && this.#isWhole(values)) {
      state.whole = values;
      state.memory = undefined;
    } else {
      this.#rules.remember(this.#memoryOf(state), values, timeMs, source);
      state.whole = undefined;
    }
    if (!isBelated) state.newestMs = timeMs;
    return "accepted";
  }

  row(key: string, atMs?: number): OpenRow | NoRow {
    const state = this.#states.get(key);
    if (state === undefined) return UNKNOWN_KEY;
    const belated = this.#belated?.key === key ? this.#belated : undefined;
    const endMs = atMs === undefined ? state.newestMs : Math.max(atMs, state.newestMs);
    const remembered = this.#remembered(state, endMs);
    if (typeof remembered === "string") return { ok: false, reason: remembered };
    const fields = belated === undefined ? remembered : overlaid(remembered, belated.values);
    // A field without a value stays undefined in a row; whoever runs the model refuses it there.
    return { ok: true, values: fields as InputRow, fields, coverage: 1, count: 1, endMs: belated?.timeMs ?? endMs };
  }

  keysWithNews(): string[] {
    this.#belated = undefined;
    const keys = this.#states.touchedSince(this.#newsMark);
    this.#newsMark = this.#states.touches;
    return keys;
  }

  #remembered(state: LatestState, endMs: number): FieldRow | Waiting {
    if (state.whole !== undefined && endMs === state.newestMs) return state.whole;
    return this.#rules.row(this.#memoryOf(state), endMs);
  }

  #memoryOf(state: LatestState): FieldMemory {
    if (state.memory !== undefined) return state.memory;
    const memory = new FieldMemory(this.#rules.count);
    if (state.whole !== undefined) {
      for (let at = 0; at < memory.values.length; at++) memory.values[at] = state.whole[at];
      memory.timesMs.fill(state.newestMs);
    }
    state.memory = memory;
    return memory;
  }

  #isWhole(values: FieldRow): boolean {
    for (let at = 0; at < this.#rules.count; at++) if (values[at] === undefined) return false;
    return true;
  }

  #add(state: LatestState): void {
    const evicted = this.#states.add(state);
    if (evicted === undefined) return;
    this.evicted += 1;
    this.#spec.onEvict?.(evicted.key);
  }
}

const UNKNOWN_KEY: NoRow = { ok: false, reason: "unknownKey" };

function overlaid(remembered: FieldRow, own: FieldRow): FieldRow {
  const row: FieldValue[] = [...remembered];
  for (let at = 0; at < row.length; at++) if (own[at] !== undefined) row[at] = own[at];
  return row;
}
