/** Rows of one frame, at most. */
export const MAX_ROWS = 64;

/** Cuts a stream into frames of `u32 rows`, then rows × width float32. */
export class FrameReader {
  readonly #rowBytes: number;
  readonly #onFrame: (values: Float32Array) => void;
  #held: Buffer = Buffer.alloc(0);

  constructor(width: number, onFrame: (values: Float32Array) => void) {
    this.#rowBytes = width * 4;
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    const bytes = this.#held.byteLength === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let at = 0;
    while (bytes.byteLength - at >= 4) {
      const end = at + 4 + bytes.readUInt32LE(at) * this.#rowBytes;
      if (end > bytes.byteLength) break;
      const values = bytes.buffer.slice(bytes.byteOffset + at + 4, bytes.byteOffset + end) as ArrayBuffer;
      this.#onFrame(new Float32Array(values));
      at = end;
    }
    this.#held = bytes.subarray(at);
  }
}
