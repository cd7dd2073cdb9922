import { ModelError } from "./errors.ts";

/** Types of tensor elements that a model may take or give. */
export const elementTypes = ["float32", "float64", "int64", "int32", "bool", "string"] as const;
export type ElementType = (typeof elementTypes)[number];

/** What a model takes for one decision: all its features, flat, in the manifest's order. */
export type InputRow = readonly (number | string | boolean)[];
/** What a model said, by the manifest's output names. */
export type Answer = Record<string, number | string | boolean | number[]>;

/** One tensor as both ends of the pipe need it; `width` is the number of elements a row. */
export interface TensorPlan {
  readonly tensor: string;
  readonly type: ElementType;
  readonly shape: readonly (number | "N")[];
  readonly width: number;
}

export interface OutputPlan extends TensorPlan {
  readonly name: string;
}

const FLOAT32_MAX = 3.4028234663852886e38;
/** Longest string feature; bounds the size of a frame. */
export const MAX_STRING_LENGTH = 4096;
const BYTES: Record<ElementType, number> = { float32: 4, float64: 8, int64: 8, int32: 4, bool: 1, string: 4 };

/** Most bytes that one row of these tensors can take in a frame. */
export function maxRowBytes(tensors: readonly TensorPlan[]): number {
  let bytes = 0;
  for (const { type, width } of tensors)
    bytes += width * (BYTES[type] + (type === "string" ? 3 * MAX_STRING_LENGTH : 0));
  return bytes;
}

/** Why this row must not reach the model, or undefined. Non-finite numbers compare false with every threshold. */
export function rowProblem(tensors: readonly TensorPlan[], rowWidth: number, row: InputRow): string | undefined {
  if (row.length !== rowWidth) return `${row.length} values instead of ${rowWidth}`;
  let at = 0;
  for (const { type, width } of tensors) {
    for (const end = at + width; at < end; at++) {
      if (!fits(type, row[at])) return `value ${at} is ${describe(row[at])}, not ${type}`;
    }
  }
  return undefined;
}

function fits(type: ElementType, value: number | string | boolean | undefined): boolean {
  switch (type) {
    case "float32":
      return typeof value === "number" && value <= FLOAT32_MAX && value >= -FLOAT32_MAX;
    case "float64":
      return typeof value === "number" && value - value === 0;
    case "int32":
      return typeof value === "number" && (value | 0) === value;
    case "int64":
      return typeof value === "number" ? Number.isSafeInteger(value) : typeof value === "string" && isInt64(value);
    case "bool":
      return typeof value === "boolean" || value === 0 || value === 1;
    case "string":
      return typeof value === "string" && value.length <= MAX_STRING_LENGTH;
  }
}

function isInt64(text: string): boolean {
  return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text);
}

function describe(value: unknown): string {
  return typeof value === "string" ? `text of ${value.length} characters` : String(value);
}

/** Bytes that these rows take in a frame, tensor after tensor. */
export function rowsByteLength(tensors: readonly TensorPlan[], rows: readonly InputRow[]): number {
  let bytes = 0;
  let first = 0;
  for (const { type, width } of tensors) {
    bytes += rows.length * width * BYTES[type];
    if (type === "string") {
      for (const row of rows) for (let i = first; i < first + width; i++) bytes += Buffer.byteLength(String(row[i]));
    }
    first += width;
  }
  return bytes;
}

/** Writes checked rows into `target` from `offset`, tensor after tensor, row after row. */
export function writeRows(
  tensors: readonly TensorPlan[],
  rows: readonly InputRow[],
  target: Buffer,
  offset: number,
): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  let at = offset;
  let first = 0;
  for (const { type, width } of tensors) {
    const last = first + width;
    for (let r = 0; r < rows.length; r++) {
      const row = rows[r] as InputRow;
      // The common case stays a tight loop of its own.
      if (type === "float32") for (let i = first; i < last; i++, at += 4) view.setFloat32(at, row[i] as number, true);
      else for (let i = first; i < last; i++) at = writeElement(type, row[i], view, target, at);
    }
    first = last;
  }
}

function writeElement(type: ElementType, value: unknown, view: DataView, target: Buffer, at: number): number {
  switch (type) {
    case "float32":
      view.setFloat32(at, value as number, true);
      return at + 4;
    case "float64":
      view.setFloat64(at, value as number, true);
      return at + 8;
    case "int32":
      view.setInt32(at, value as number, true);
      return at + 4;
    case "int64":
      view.setBigInt64(at, BigInt(value as number | string), true);
      return at + 8;
    case "bool":
      view.setUint8(at, value === true || value === 1 ? 1 : 0);
      return at + 1;
    case "string": {
      const bytes = target.write(value as string, at + 4, "utf8");
      view.setUint32(at, bytes, true);
      return at + 4 + bytes;
    }
  }
}

export type TensorData = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array | string[];

/** Reads `rows` rows of one tensor into an array of its own, never a view of the frame; gives the offset behind it. */
export function readTensor(
  type: ElementType,
  count: number,
  frame: Buffer,
  offset: number,
): { data: TensorData; end: number } {
  if (type === "string") return readStrings(count, frame, offset);
  const bytes = count * BYTES[type];
  if (offset + bytes > frame.byteLength)
    throw new ModelError("FRAME_INVALID", { found: "the frame ends inside a tensor" });
  const data = newArray(type, count);
  new Uint8Array(data.buffer).set(frame.subarray(offset, offset + bytes));
  return { data, end: offset + bytes };
}

function newArray(type: Exclude<ElementType, "string">, count: number) {
  switch (type) {
    case "float32":
      return new Float32Array(count);
    case "float64":
      return new Float64Array(count);
    case "int64":
      return new BigInt64Array(count);
    case "int32":
      return new Int32Array(count);
    case "bool":
      return new Uint8Array(count);
  }
}

function readStrings(count: number, frame: Buffer, offset: number): { data: string[]; end: number } {
  const data: string[] = [];
  let at = offset;
  for (let i = 0; i < count; i++) {
    if (at + 4 > frame.byteLength) throw new ModelError("FRAME_INVALID", { found: "the frame ends inside a text" });
    const end = at + 4 + frame.readUInt32LE(at);
    if (end > frame.byteLength) throw new ModelError("FRAME_INVALID", { found: "a text is longer than its frame" });
    data.push(frame.toString("utf8", at + 4, end));
    at = end;
  }
  return { data, end: at };
}

/** Bytes that one output tensor takes in a frame. */
export function tensorByteLength(type: ElementType, data: TensorData): number {
  if (type !== "string") return (data as Float32Array).byteLength;
  let bytes = 0;
  for (const text of data as string[]) bytes += 4 + Buffer.byteLength(text);
  return bytes;
}

/** Writes one output tensor; gives the offset behind it. */
export function writeTensor(type: ElementType, data: TensorData, target: Buffer, offset: number): number {
  if (type !== "string") {
    const { buffer, byteOffset, byteLength } = data as Float32Array;
    target.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
    return offset + byteLength;
  }
  let at = offset;
  for (const text of data as string[]) {
    const bytes = target.write(text, at + 4, "utf8");
    target.writeUInt32LE(bytes, at);
    at += 4 + bytes;
  }
  return at;
}

/** Answers of one batch; `invalid[r]` says why row r has none. */
export interface Answers {
  readonly answers: Answer[];
  readonly invalid: (string | undefined)[] | undefined;
}

/** Reads the answers of a batch. A row with a non-finite number is invalid by itself; its neighbours are not. */
export function readAnswers(outputs: readonly OutputPlan[], rows: number, frame: Buffer, offset: number): Answers {
  const answers: Answer[] = [];
  for (let r = 0; r < rows; r++) answers.push({});
  const cursor = { at: offset, invalid: undefined as (string | undefined)[] | undefined };
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  for (const output of outputs) {
    for (let r = 0; r < rows; r++) {
      const answer = answers[r] as Answer;
      const value =
        output.width === 1 ? readElement(output.type, view, frame, cursor) : readNumbers(output, view, frame, cursor);
      answer[output.name] = value as number;
      if (isUnusable(value)) {
        cursor.invalid ??= new Array<string | undefined>(rows).fill(undefined);
        cursor.invalid[r] ??= `${output.name} is not finite`;
      }
    }
  }
  if (cursor.at !== frame.byteLength)
    throw new ModelError("FRAME_INVALID", { found: "bytes are left over after the answers" });
  return { answers, invalid: cursor.invalid };
}

type Element = number | string | boolean;

function isUnusable(value: Element | number[]): boolean {
  if (typeof value === "number") return value - value !== 0;
  return Array.isArray(value) && !value.every(Number.isFinite);
}

function readNumbers(output: OutputPlan, view: DataView, frame: Buffer, cursor: { at: number }): number[] {
  const values: number[] = [];
  for (let i = 0; i < output.width; i++) {
    const value = readElement(output.type, view, frame, cursor);
    // A text here is an int64 beyond 2^53: a list of numbers can not hold it, so it counts as unusable.
    values.push(typeof value === "string" ? Number.NaN : Number(value));
  }
  return values;
}

function readElement(type: ElementType, view: DataView, frame: Buffer, cursor: { at: number }): Element {
  const at = cursor.at;
  switch (type) {
    case "float32":
      cursor.at = at + 4;
      return view.getFloat32(at, true);
    case "float64":
      cursor.at = at + 8;
      return view.getFloat64(at, true);
    case "int32":
      cursor.at = at + 4;
      return view.getInt32(at, true);
    case "int64": {
      cursor.at = at + 8;
      const value = view.getBigInt64(at, true);
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value.toString();
    }
    case "bool":
      cursor.at = at + 1;
      return view.getUint8(at) !== 0;
    case "string": {
      const { data, end } = readStrings(1, frame, at);
      cursor.at = end;
      return data[0] ?? "";
    }
  }
}
