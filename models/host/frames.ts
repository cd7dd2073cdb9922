import { ModelError } from "../errors.ts";
import {
  type Answers,
  type InputRow,
  type OutputPlan,
  readAnswers,
  rowsByteLength,
  type TensorData,
  type TensorPlan,
  tensorByteLength,
  writeRows,
  writeTensor,
} from "../tensors.ts";

/** Both ends say this first; a daemon that outlived a package upgrade meets newer hosts. */
export const PROTOCOL_VERSION = 1;
/** Exit code of a host whose daemon speaks another protocol version. */
export const EXIT_PROTOCOL = 86;
/** Exit code of a host that was sent a damaged frame. */
export const EXIT_FRAME = 87;

export const FrameType = { hello: 1, load: 2, loaded: 3, refused: 4, run: 5, answer: 6, failed: 7, unload: 8 } as const;

/** u32 length of what follows, u8 type, u32 request, u16 model, u16 rows; little-endian. */
export const HEADER_BYTES = 13;
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;

export interface Frame {
  readonly type: number;
  readonly request: number;
  readonly model: number;
  readonly rows: number;
  /** What follows the header: a view of the chunk it came in. */
  readonly body: Buffer;
}

/** What the host is told about a model. */
export interface LoadOrder {
  readonly file: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly opset: number | undefined;
  readonly inputs: readonly TensorPlan[];
  readonly outputs: readonly OutputPlan[];
  readonly batchRows: number;
  readonly tolerance: { readonly absolute: number; readonly relative: number };
  /** Path of the golden vectors; without it the model is loaded unproven. */
  readonly golden: string | undefined;
}

/** What the host says about a model that is ready. */
export interface LoadReport {
  readonly residentBytes: number;
  readonly opset: number;
  readonly runtime: string;
  readonly golden: number;
}

/** What the host says about a model that it can not use. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly found: string;
  readonly hint?: string | undefined;
}

function header(target: Buffer, type: number, request: number, model: number, rows: number): void {
  target.writeUInt32LE(target.byteLength - 4, 0);
  target.writeUInt8(type, 4);
  target.writeUInt32LE(request, 5);
  target.writeUInt16LE(model, 9);
  target.writeUInt16LE(rows, 11);
}

function allocate(bytes: number): Buffer {
  if (bytes > MAX_FRAME_BYTES)
    throw new ModelError("FRAME_INVALID", { found: `a frame of ${bytes} bytes is too large` });
  return Buffer.allocUnsafe(bytes);
}

/** A frame whose body is JSON: hello, load, loaded, refused, unload. */
export function encodeJson(type: number, request: number, model: number, value: unknown): Buffer {
  const text = JSON.stringify(value);
  const frame = allocate(HEADER_BYTES + Buffer.byteLength(text));
  header(frame, type, request, model, 0);
  frame.write(text, HEADER_BYTES, "utf8");
  return frame;
}

/** The JSON body of a frame. */
export function decodeJson(frame: Frame): unknown {
  try {
    return JSON.parse(frame.body.toString("utf8"));
  } catch (cause) {
    throw new ModelError("FRAME_INVALID", { found: "the body is no JSON" }, { cause });
  }
}

/** A batch for the model: checked rows, tensor after tensor. */
export function encodeRun(
  request: number,
  model: number,
  inputs: readonly TensorPlan[],
  rows: readonly InputRow[],
): Buffer {
  const frame = allocate(HEADER_BYTES + rowsByteLength(inputs, rows));
  header(frame, FrameType.run, request, model, rows.length);
  writeRows(inputs, rows, frame, HEADER_BYTES);
  return frame;
}

/** The model's outputs for a batch: u32 compute microseconds, then tensor after tensor. */
export function encodeAnswer(
  run: Frame,
  computeUs: number,
  outputs: readonly TensorPlan[],
  data: readonly TensorData[],
): Buffer {
  let bytes = HEADER_BYTES + 4;
  for (let i = 0; i < outputs.length; i++)
    bytes += tensorByteLength((outputs[i] as TensorPlan).type, data[i] as TensorData);
  const frame = allocate(bytes);
  header(frame, FrameType.answer, run.request, run.model, run.rows);
  frame.writeUInt32LE(Math.min(computeUs, 0xffffffff) >>> 0, HEADER_BYTES);
  let at = HEADER_BYTES + 4;
  for (let i = 0; i < outputs.length; i++) {
    at = writeTensor((outputs[i] as TensorPlan).type, data[i] as TensorData, frame, at);
  }
  return frame;
}

/** Compute time and answers of an answer frame. */
export function decodeAnswer(frame: Frame, outputs: readonly OutputPlan[]): Answers & { computeUs: number } {
  try {
    const { answers, invalid } = readAnswers(outputs, frame.rows, frame.body, 4);
    return { answers, invalid, computeUs: frame.body.readUInt32LE(0) };
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    throw new ModelError("FRAME_INVALID", { found: "the answer is shorter than its rows" }, { cause });
  }
}

/** A batch that the model could not run, with the runtime's words. */
export function encodeFailed(run: Frame, text: string): Buffer {
  const body = Buffer.from(text.slice(0, 2000), "utf8");
  const frame = allocate(HEADER_BYTES + body.byteLength);
  header(frame, FrameType.failed, run.request, run.model, run.rows);
  frame.set(body, HEADER_BYTES);
  return frame;
}

/** Cuts a stream of bytes into frames, whatever its chunks. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #wanted = 4;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** Bytes of a frame that has not come whole yet. */
  get pendingBytes(): number {
    return this.#heldBytes;
  }

  /** Takes what the socket gave; throws FRAME_INVALID when it can be no frame. */
  push(chunk: Buffer): void {
    if (this.#heldBytes + chunk.byteLength < this.#wanted) {
      this.#held.push(chunk);
      this.#heldBytes += chunk.byteLength;
      return;
    }
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([...this.#held, chunk]);
    const used = this.#cut(bytes);
    this.#held = used === bytes.byteLength ? [] : [bytes.subarray(used)];
    this.#heldBytes = bytes.byteLength - used;
  }

  #cut(bytes: Buffer): number {
    let at = 0;
    while (bytes.byteLength - at >= 4) {
      const length = bytes.readUInt32LE(at);
      if (length < HEADER_BYTES - 4 || length > MAX_FRAME_BYTES) {
        throw new ModelError("FRAME_INVALID", { found: `a frame of ${length} bytes` });
      }
      const end = at + 4 + length;
      this.#wanted = end - at;
      if (end > bytes.byteLength) return at;
      this.#onFrame({
        type: bytes.readUInt8(at + 4),
        request: bytes.readUInt32LE(at + 5),
        model: bytes.readUInt16LE(at + 9),
        rows: bytes.readUInt16LE(at + 11),
        body: bytes.subarray(at + HEADER_BYTES, end),
      });
      at = end;
      this.#wanted = 4;
    }
    return at;
  }
}
