/** One MQTT packet: the first byte, and what follows the length. */
export type OnPacket = (first: number, body: Buffer) => void;

/** Cuts a stream into MQTT packets. */
export class PacketReader {
  readonly #onPacket: OnPacket;
  #held: Buffer = Buffer.alloc(0);

  constructor(onPacket: OnPacket) {
    this.#onPacket = onPacket;
  }

  push(chunk: Buffer): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let at = 0;
    for (;;) {
      let length = 0;
      let start = at + 1;
      let shift = 0;
      let isWhole = false;
      while (start < bytes.length && !isWhole) {
        const byte = bytes[start++] as number;
        length |= (byte & 127) << shift;
        shift += 7;
        isWhole = byte < 128;
      }
      if (!isWhole || start + length > bytes.length) break;
      this.#onPacket(bytes[at] as number, bytes.subarray(start, start + length));
      at = start + length;
    }
    this.#held = bytes.subarray(at);
  }
}
