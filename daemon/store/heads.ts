import { hash } from "node:crypto";

export const HASH_BYTES = 16;
export const CHAIN_BYTES = 32;
const STREAMS = 4;
const ORDER_BYTES = 8;
const FIRST_ORDER = 1024;

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

/** How rows of all streams followed each other: the first 16 hex digits of SHA-256 over their streams, a byte a row. */
export function orderOf(streams: Uint8Array): string {
  return hash("sha256", streams, "buffer").toString("hex", 0, ORDER_BYTES);
}

/** How far each stream of the running epoch has come: seq and chain value. Kept in memory by the one writer. */
export class Heads {
  readonly #seqs = new Array<number>(STREAMS).fill(0);
  /** Per stream: the chain's value, and behind it the place for the next row's hash. */
  readonly #links = Array.from({ length: STREAMS }, () => Buffer.alloc(CHAIN_BYTES + HASH_BYTES));
  readonly #savedSeqs = new Array<number>(STREAMS).fill(0);
  readonly #savedLinks = Array.from({ length: STREAMS }, () => Buffer.alloc(CHAIN_BYTES + HASH_BYTES));

  /** The streams of the rows since the last head that was written down, from `#orderFrom` on. */
  #order = new Uint8Array(FIRST_ORDER);
  #orderFrom = 0;
  #orderTo = 0;
  #savedTo = 0;

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
    this.#place(stream);
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
    this.#order.copyWithin(0, this.#orderFrom, this.#orderTo);
    this.#orderTo -= this.#orderFrom;
    this.#orderFrom = 0;
    this.#savedTo = this.#orderTo;
  }

  /** After a transaction that was rolled back: the rows since `save` never were. */
  restore(): void {
    for (let stream = 0; stream < STREAMS; stream++) {
      this.#seqs[stream] = this.#savedSeqs[stream] as number;
      (this.#savedLinks[stream] as Buffer).copy(this.#links[stream] as Buffer);
    }
    this.#orderFrom = 0;
    this.#orderTo = this.#savedTo;
  }

  /** What a head record says: where each stream stands, and in which order the rows came since the one before. */
  written(): { heads: { stream: number; seq: number; chain: string }[]; order: string } {
    const order = orderOf(this.#order.subarray(this.#orderFrom, this.#orderTo));
    this.#orderFrom = this.#orderTo;
    return { heads: this.list(), order };
  }

  list(): { stream: number; seq: number; chain: string }[] {
    const heads = [];
    for (let stream = 0; stream < STREAMS; stream++) {
      if (this.seq(stream) > 0)
        heads.push({ stream, seq: this.seq(stream), chain: this.chain(stream).toString("hex") });
    }
    return heads;
  }

  #place(stream: number): void {
    if (this.#orderTo === this.#order.length) {
      const larger = new Uint8Array(2 * this.#order.length);
      larger.set(this.#order);
      this.#order = larger;
    }
    this.#order[this.#orderTo] = stream;
    this.#orderTo += 1;
  }
}
