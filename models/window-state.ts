import { FieldMemory, type FieldSpec } from "./field-memory.ts";
import type { KeyEntry } from "./key-order.ts";
import { Series } from "./series.ts";

/** What a window remembers of one key. */
export class WindowState implements KeyEntry {
  readonly key: string;
  older: KeyEntry | undefined = undefined;
  newer: KeyEntry | undefined = undefined;
  touched = 0;
  /** Touch up to which all of it was dumped apart from the journal; −1 for never. */
  savedAtTouch = -1;
  /** The newest event time seen. */
  watermarkMs = Number.NEGATIVE_INFINITY;
  readonly memory: FieldMemory;
  /** Readings by field; undefined for a field that no feature reads. */
  readonly series: readonly (Series | undefined)[];

  constructor(key: string, kept: readonly boolean[]) {
    this.key = key;
    this.memory = new FieldMemory(kept.length);
    this.series = kept.map((isKept) => (isKept ? new Series() : undefined));
  }

  /** Time of the oldest reading that a journal must still have: what is in the window, and each field's newest value. */
  horizonMs(): number {
    if (this.savedAtTouch === this.touched) return Number.POSITIVE_INFINITY;
    let horizon = this.watermarkMs;
    for (let at = 0; at < this.series.length; at++) {
      const series = this.series[at];
      if (series !== undefined && series.count > 0) horizon = Math.min(horizon, series.timeAt(0));
      const timeMs = this.memory.timesMs[at] as number;
      if (timeMs !== Number.NEGATIVE_INFINITY) horizon = Math.min(horizon, timeMs);
    }
    return horizon;
  }
}

/** Number that says which fields, in which order, a dumped state was made of (FNV-1a). */
export function layoutOf(fields: readonly FieldSpec[], kept: readonly boolean[]): number {
  let hash = 0x811c9dc5;
  const text = fields.map((field, at) => `${field.name}:${field.type ?? "number"}:${kept[at] === true}`).join("\n");
  for (const byte of Buffer.from(text, "utf8")) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
