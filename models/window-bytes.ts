import type { FieldValue } from "./field-memory.ts";
import type { Series } from "./series.ts";
import { WindowState } from "./window-state.ts";

const VERSION = 1;
const TIMES_AS_BEFORE = 1;
const TIMES_AS_STEPS = 2;
const VALUES_SINGLE = 4;

/**
 * One key's state as bytes: exact, and small where it can be. Times in whole milliseconds are written as steps, those
 * of fields that came together once, and values that single precision holds exactly take four bytes. Only what is from
 * before `beforeMs` is written: the rest is the journal's.
 */
export function writeState(state: WindowState, layout: number, beforeMs: number): Uint8Array {
  const out = new Writer();
  out.byte(VERSION);
  out.count(layout);
  const isWhole = state.watermarkMs < beforeMs;
  out.double(isWhole ? state.watermarkMs : newestBefore(state, beforeMs));
  for (let at = 0; at < state.series.length; at++) {
    const timeMs = state.memory.timesMs[at] as number;
    writeValue(out, state.memory.values[at], timeMs < beforeMs ? timeMs : Number.NEGATIVE_INFINITY);
  }
  let before: Part | undefined;
  for (const series of state.series) {
    if (series === undefined) continue;
    const part = { series, count: isWhole ? series.count : countBefore(series, beforeMs) };
    writeSeries(out, part, before);
    before = part;
  }
  return out.bytes();
}

/** The state that was written, or undefined when the bytes are of another layout or damaged. */
export function readState(
  key: string,
  bytes: Uint8Array,
  kept: readonly boolean[],
  layout: number,
): WindowState | undefined {
  const from = new Reader(bytes);
  const state = new WindowState(key, kept);
  try {
    if (from.byte() !== VERSION || from.count() !== layout) return undefined;
    state.watermarkMs = from.double();
    for (let at = 0; at < kept.length; at++) readValue(from, state, at);
    let before: Series | undefined;
    for (const series of state.series) {
      if (series === undefined) continue;
      readSeries(from, series, before);
      before = series;
    }
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  return from.isAtEnd && !Number.isNaN(state.watermarkMs) ? state : undefined;
}

const KINDS = ["never", "none", "number", "false", "true", "string"] as const;

function writeValue(out: Writer, value: FieldValue, timeMs: number): void {
  const kind = timeMs === Number.NEGATIVE_INFINITY ? "never" : kindOf(value);
  out.byte(KINDS.indexOf(kind));
  if (kind === "never") return;
  out.double(timeMs);
  if (typeof value === "number") out.double(value);
  else if (typeof value === "string") out.text(value);
}

function kindOf(value: FieldValue): (typeof KINDS)[number] {
  if (value === undefined) return "none";
  if (typeof value === "boolean") return value ? "true" : "false";
  return typeof value === "string" ? "string" : "number";
}

function readValue(from: Reader, state: WindowState, at: number): void {
  const kind = KINDS[from.byte()];
  if (kind === undefined) throw new RangeError("kind");
  if (kind === "never") return;
  state.memory.timesMs[at] = from.double();
  if (kind === "number") state.memory.values[at] = from.double();
  else if (kind === "string") state.memory.values[at] = from.text();
  else if (kind !== "none") state.memory.values[at] = kind === "true";
}

/** The oldest readings of a series. */
interface Part {
  readonly series: Series;
  readonly count: number;
}

function countBefore(series: Series, timeMs: number): number {
  let count = series.count;
  while (count > 0 && series.timeAt(count - 1) >= timeMs) count -= 1;
  return count;
}

function newestBefore(state: WindowState, timeMs: number): number {
  let newest = Number.NEGATIVE_INFINITY;
  for (const time of state.memory.timesMs) if (time < timeMs) newest = Math.max(newest, time);
  for (const series of state.series) {
    const count = series === undefined ? 0 : countBefore(series, timeMs);
    if (series !== undefined && count > 0) newest = Math.max(newest, series.timeAt(count - 1));
  }
  return newest;
}

function writeSeries(out: Writer, { series, count }: Part, before: Part | undefined): void {
  let hasSteps = true;
  let isSingle = true;
  let isAsBefore = before !== undefined && before.count === count;
  for (let at = 0; at < count; at++) {
    const timeMs = series.timeAt(at);
    hasSteps &&= Number.isSafeInteger(timeMs) && timeMs >= 0;
    isSingle &&= Math.fround(series.valueAt(at)) === series.valueAt(at);
    isAsBefore &&= before?.series.timeAt(at) === timeMs;
  }
  out.byte((isAsBefore ? TIMES_AS_BEFORE : hasSteps ? TIMES_AS_STEPS : 0) | (isSingle ? VALUES_SINGLE : 0));
  out.count(count);
  for (let at = 0; at < count && !isAsBefore; at++) {
    if (hasSteps) out.count(series.timeAt(at) - (at === 0 ? 0 : series.timeAt(at - 1)));
    else out.double(series.timeAt(at));
  }
  for (let at = 0; at < count; at++) {
    if (isSingle) out.single(series.valueAt(at));
    else out.double(series.valueAt(at));
  }
}

function readSeries(from: Reader, series: Series, before: Series | undefined): void {
  const flags = from.byte();
  const count = from.count();
  if (count > from.left * 2 || (flags & TIMES_AS_BEFORE && before?.count !== count)) throw new RangeError("count");
  const times: number[] = [];
  let timeMs = 0;
  for (let at = 0; at < count; at++) {
    if (flags & TIMES_AS_BEFORE) timeMs = before?.timeAt(at) ?? Number.NaN;
    else timeMs = flags & TIMES_AS_STEPS ? timeMs + from.count() : from.double();
    times.push(timeMs);
  }
  for (const time of times) {
    const value = flags & VALUES_SINGLE ? from.single() : from.double();
    if (!Number.isFinite(value) || !Number.isFinite(time)) throw new RangeError("reading");
    series.insert(time, value, Number.POSITIVE_INFINITY);
  }
}

class Writer {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  byte(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  single(value: number): void {
    const at = this.#room(4);
    this.#view.setFloat32(at, value, true);
  }

  double(value: number): void {
    const at = this.#room(8);
    this.#view.setFloat64(at, value, true);
  }

  /** A whole number from 0, seven bits a byte. */
  count(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.byte((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    this.byte(rest);
  }

  /** As UTF-16, since a text from outside may hold half of a pair, which UTF-8 would replace. */
  text(value: string): void {
    const bytes = Buffer.from(value, "utf16le");
    this.count(bytes.length);
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Where the next `size` bytes go. Growing replaces the view, so this comes before it is used. */
  #room(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}

/** Throws RangeError when the bytes end too soon. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  get isAtEnd(): boolean {
    return this.left === 0;
  }

  byte(): number {
    this.#at += 1;
    return this.#view.getUint8(this.#at - 1);
  }

  single(): number {
    this.#at += 4;
    return this.#view.getFloat32(this.#at - 4, true);
  }

  double(): number {
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  count(): number {
    let value = 0;
    for (let place = 1; ; place *= 128) {
      const byte = this.byte();
      value += (byte % 128) * place;
      if (!Number.isSafeInteger(value)) throw new RangeError("count");
      if (byte < 128) return value;
    }
  }

  text(): string {
    const length = this.count();
    if (length > this.left || length % 2 === 1) throw new RangeError("text");
    this.#at += length;
    return Buffer.from(this.#bytes.subarray(this.#at - length, this.#at)).toString("utf16le");
  }
}
