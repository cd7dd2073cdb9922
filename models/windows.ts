import { type FieldRow, FieldRules, type FieldValue } from "./field-memory.ts";
import { KeyOrder } from "./key-order.ts";
import { readState, writeState } from "./window-bytes.ts";
import { type RowPlan, rowPlan } from "./window-row.ts";
import type { Inserted, NoRow, OpenRow, WindowSpec } from "./window-spec.ts";
import { layoutOf, WindowState } from "./window-state.ts";

export type { Inserted, NoRow, OpenRow, WindowSpec } from "./window-spec.ts";

/** A reading as a journal keeps it, in order of arrival. */
export interface JournalReading {
  readonly key: string;
  readonly timeMs: number;
  readonly source: number;
  readonly values: FieldRow;
}

export interface Windows {
  /** Keys that are kept now. */
  readonly keys: number;
  readonly evicted: number;
  /** Readings that went because a key had too many. */
  readonly truncated: number;
  insert(key: string, values: FieldRow, timeMs: number, nowMs: number, source?: number): Inserted;
  row(key: string, atMs?: number): OpenRow | NoRow;
  /** Keys with accepted readings since the last call, those silent longest first. */
  keysWithNews(): string[];
  /** The same for checkpoints, with a mark of its own. */
  dirtyKeys(): string[];
  /**
   * The key's state as bytes. With `beforeMs`, only what is from before: together with the journaled readings from then
   * on it is the whole state, so that a journal can be cut at a time although some keys still need what is older.
   */
  dump(key: string, beforeMs?: number): Uint8Array | undefined;
  /** Takes a dumped state back, as the key seen last; false when the bytes are damaged or of other fields. */
  load(key: string, bytes: Uint8Array): boolean;
  /** Puts journaled readings back, in order of arrival; returns how many counted. What a loaded dump holds must not be among them. */
  replay(readings: Iterable<JournalReading>): number;
  /** Keys that keep a journal from being cut at this time, until they are dumped with it. */
  keysNeeding(beforeMs: number): string[];
}

/**
 * Readings per key over event time; pure, all times are given. A key's watermark is the newest event time seen. A
 * reading is late when it is more than `lateMs` behind the watermark (with 0, an equal time is in time) or no longer
 * in the window. The window is (end − span, end], and ends at the watermark: sensors' clocks are not ours, and a key
 * that fell silent keeps its window until it speaks again. `atMs` moves the end on, for readings that carry our time.
 */
export function createWindows(spec: WindowSpec): Windows {
  return new KeyedWindows(spec);
}

class KeyedWindows implements Windows {
  evicted = 0;
  truncated = 0;
  readonly #spec: WindowSpec;
  readonly #rules: FieldRules;
  readonly #plan: RowPlan;
  readonly #layout: number;
  readonly #states: KeyOrder<WindowState>;
  #newsMark = 0;
  #dirtyMark = 0;

  constructor(spec: WindowSpec) {
    this.#spec = spec;
    this.#rules = new FieldRules(spec.fields, spec.sources);
    this.#plan = rowPlan(spec);
    this.#layout = layoutOf(spec.fields, this.#plan.kept);
    this.#states = new KeyOrder(spec.maxKeys);
  }

  get keys(): number {
    return this.#states.size;
  }

  insert(key: string, values: FieldRow, timeMs: number, nowMs: number, source = 0): Inserted {
    const { lateMs, futureMs } = this.#spec;
    if (!(timeMs <= nowMs + futureMs)) return "future";
    return this.#insert(key, values, timeMs, source, lateMs);
  }

  #insert(key: string, values: FieldRow, timeMs: number, source: number, lateMs: number): "accepted" | "late" {
    let state = this.#states.get(key);
    if (state === undefined) {
      state = new WindowState(key, this.#plan.kept);
      this.#add(state);
    } else if (timeMs < state.watermarkMs - lateMs || timeMs <= state.watermarkMs - this.#spec.spanMs) return "late";
    this.#states.touch(state);
    if (timeMs > state.watermarkMs) state.watermarkMs = timeMs;
    this.#rules.remember(state.memory, values, timeMs, source);
    this.#keep(state, values, timeMs);
    return "accepted";
  }

  row(key: string, atMs?: number): OpenRow | NoRow {
    const state = this.#states.get(key);
    if (state === undefined) return UNKNOWN_KEY;
    const endMs = atMs === undefined ? state.watermarkMs : Math.max(atMs, state.watermarkMs);
    const fields = this.#rules.row(state.memory, endMs);
    if (typeof fields === "string") return { ok: false, reason: fields };
    return this.#plan.row(state, fields, endMs);
  }

  keysWithNews(): string[] {
    const keys = this.#states.touchedSince(this.#newsMark);
    this.#newsMark = this.#states.touches;
    return keys;
  }

  dirtyKeys(): string[] {
    const keys = this.#states.touchedSince(this.#dirtyMark);
    this.#dirtyMark = this.#states.touches;
    return keys;
  }

  dump(key: string, beforeMs?: number): Uint8Array | undefined {
    const state = this.#states.get(key);
    if (state === undefined) return undefined;
    this.#prune(state);
    if (beforeMs !== undefined && state.watermarkMs < beforeMs) state.savedAtTouch = state.touched;
    return writeState(state, this.#layout, beforeMs ?? Number.POSITIVE_INFINITY);
  }

  load(key: string, bytes: Uint8Array): boolean {
    const state = readState(key, bytes, this.#plan.kept, this.#layout);
    if (state === undefined) return false;
    this.#prune(state);
    for (const series of state.series) {
      if (series !== undefined && series.count > this.#spec.maxReadings)
        this.truncated += series.keepNewest(this.#spec.maxReadings);
    }
    this.#add(state);
    return true;
  }

  replay(readings: Iterable<JournalReading>): number {
    let counted = 0;
    for (const { key, values, timeMs, source } of readings) {
      // The door was passed when the reading was new: our clock may be behind it since, and readings are journaled in
      // the order of their decisions.
      if (this.#insert(key, values, timeMs, source, Number.POSITIVE_INFINITY) === "accepted") counted += 1;
    }
    return counted;
  }

  keysNeeding(beforeMs: number): string[] {
    const keys: string[] = [];
    for (const state of this.#states.entries()) {
      this.#prune(state);
      if (state.horizonMs() < beforeMs) keys.push(state.key);
    }
    return keys;
  }

  #keep(state: WindowState, values: FieldRow, timeMs: number): void {
    const goneMs = state.watermarkMs - this.#spec.spanMs;
    for (let at = 0; at < state.series.length; at++) {
      const series = state.series[at];
      if (series === undefined) continue;
      series.dropThrough(goneMs);
      const value = numberOf(values[at]);
      if (value !== undefined && !series.insert(timeMs, value, this.#spec.maxReadings)) this.truncated += 1;
    }
  }

  #prune(state: WindowState): void {
    for (const series of state.series) series?.dropThrough(state.watermarkMs - this.#spec.spanMs);
  }

  #add(state: WindowState): void {
    const evicted = this.#states.add(state);
    if (evicted === undefined) return;
    this.evicted += 1;
    this.#spec.onEvict?.(evicted.key);
  }
}

const UNKNOWN_KEY: NoRow = { ok: false, reason: "unknownKey" };

/** A boolean counts as 0 or 1 in a window; what is no finite number is no reading. */
function numberOf(value: FieldValue): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  return typeof value === "boolean" ? Number(value) : undefined;
}
