import { hash } from "node:crypto";

export const HASH_BYTES = 16;
export const CHAIN_BYTES = 32;
const STREAMS = 4;

/** SHA-256, cut to 16 bytes, of a body's UTF-8 bytes. */
export function bodyHash(body: string): Buffer {
  return hash("sha256", body, "buffer").subarray(0, HASH_BYTES);
}

/** The chain's value after one more row. */
export function nextChain(chain: Uint8Array, rowHash: Uint8Array): Buffer {
  return hash("sha256", Buffer.concat([chain, rowHash]), "buffer");
}

/** The chain's value before an epoch's first row of a stream. */
export function firstChain(): Buffer {
  return Buffer.alloc(CHAIN_BYTES);
}

/** How far each stream of the running epoch has come: seq and chain value. Kept in memory by the one writer. */
export class Heads {
  readonly #seqs = new Array<number>(STREAMS).fill(0);
  /** Per stream: the chain's value, and behind it the place for the next row's hash. */
  readonly #links = Array.from({ length: STREAMS }, () => Buffer.alloc(CHAIN_BYTES + HASH_BYTES));
  readonly #savedSeqs = new Array<number>(STREAMS).fill(0);
  readonly #savedLinks = Array.from({ length: STREAMS }, () => Buffer.alloc(CHAIN_BYTES + HASH_BYTES));

  /** Adds a row to its stream; `hashOut` receives the body's hash. Gives the row's seq. */
  add(stream: number, body: string, hashOut: Buffer): number {
    const link = this.#links[stream] as Buffer;
    // Text of one byte a character is the cheapest way to have a digest back: no Buffer is made for each.
    const digest = hash("sha256", body, "binary");
    hashOut.write(digest, 0, HASH_BYTES, "latin1");
    link.write(digest, CHAIN_BYTES, HASH_BYTES, "latin1");
    link.write(hash("sha256", link, "binary"), 0, CHAIN_BYTES, "latin1");
    const seq = (this.#seqs[stream] as number) + 1;
    this.#seqs[stream] = seq;
    return seq;
  }

  seq(stream: number): number {
    return this.#seqs[stream] ?? 0;
  }

  chain(stream: number): Buffer {
    return Buffer.from((this.#links[stream] as Buffer).subarray(0, CHAIN_BYTES));
  }

  save(): void {
    for (let stream = 0; stream < STREAMS; stream++) {
      this.#savedSeqs[stream] = this.#seqs[stream] as number;
      (this.#links[stream] as Buffer).copy(this.#savedLinks[stream] as Buffer);
    }
  }

  /** After a transaction that was rolled back: the rows since `save` never were. */
  restore(): void {
    for (let stream = 0; stream < STREAMS; stream++) {
      this.#seqs[stream] = this.#savedSeqs[stream] as number;
      (this.#savedLinks[stream] as Buffer).copy(this.#links[stream] as Buffer);
    }
  }

  list(): { stream: number; seq: number; chain: string }[] {
    const heads = [];
    for (let stream = 0; stream < STREAMS; stream++) {
      if (this.seq(stream) > 0)
        heads.push({ stream, seq: this.seq(stream), chain: this.chain(stream).toString("hex") });
    }
    return heads;
  }
}
