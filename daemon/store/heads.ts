import { hash } from "node:crypto";
import type { StreamHead } from "../../sync/records.ts";

export const HASH_BYTES = 16;
export const CHAIN_BYTES = 32;
const STREAMS = 4;
const FIRST_PLACES = 256;
const PLACES_BYTES = 8;

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

/**
 * Where rows of a stream lay among those of all streams: the first 16 hex digits of SHA-256 over the places, each
 * counted from 0 at the epoch's first row and written as four bytes, the lowest first.
 */
export function placesDigest(places: readonly number[] | Uint32Array): string {
  const bytes = Buffer.alloc(4 * places.length);
  for (let at = 0; at < places.length; at++) bytes.writeUInt32LE((places[at] as number) % 2 ** 32, 4 * at);
  return hash("sha256", bytes, "buffer").toString("hex", 0, PLACES_BYTES);
}

/** Places of one stream's rows since the last head that was written down. */
class Places {
  #all = new Uint32Array(FIRST_PLACES);
  #from = 0;
  #to = 0;
  #savedTo = 0;

  add(place: number): void {
    if (this.#to === this.#all.length) {
      const larger = new Uint32Array(2 * this.#all.length);
      larger.set(this.#all);
      this.#all = larger;
    }
    this.#all[this.#to] = place;
    this.#to += 1;
  }

  /** Those since the last time; they are kept until that is on disk. */
  take(): Uint32Array {
    const taken = this.#all.subarray(this.#from, this.#to);
    this.#from = this.#to;
    return taken;
  }

  save(): void {
    this.#all.copyWithin(0, this.#from, this.#to);
    this.#to -= this.#from;
    this.#from = 0;
    this.#savedTo = this.#to;
  }

  restore(): void {
    this.#from = 0;
    this.#to = this.#savedTo;
  }
}

/** How far each stream of the running epoch has come: seq and chain value. Kept in memory by the one writer. */
export class Heads {
  readonly #seqs = new Array<number>(STREAMS).fill(0);
  /** Per stream: the chain's value, and behind it the place for the next row's hash. */
  readonly #links = Array.from({ length: STREAMS }, () => Buffer.alloc(CHAIN_BYTES + HASH_BYTES));
  readonly #savedSeqs = new Array<number>(STREAMS).fill(0);
  readonly #savedLinks = Array.from({ length: STREAMS }, () => Buffer.alloc(CHAIN_BYTES + HASH_BYTES));

  readonly #places = Array.from({ length: STREAMS }, () => new Places());
  #rows = 0;
  #savedRows = 0;

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
    (this.#places[stream] as Places).add(this.#rows);
    this.#rows += 1;
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
    for (const places of this.#places) places.save();
    this.#savedRows = this.#rows;
  }

  /** After a transaction that was rolled back: the rows since `save` never were. */
  restore(): void {
    for (let stream = 0; stream < STREAMS; stream++) {
      this.#seqs[stream] = this.#savedSeqs[stream] as number;
      (this.#savedLinks[stream] as Buffer).copy(this.#links[stream] as Buffer);
    }
    for (const places of this.#places) places.restore();
    this.#rows = this.#savedRows;
  }

  /** What a head record says: where each stream stands, and where its rows since the last such record lay. */
  written(): StreamHead[] {
    return this.list().map((head) => {
      const places = (this.#places[head.stream] as Places).take();
      return places.length === 0 ? head : { ...head, places: placesDigest(places) };
    });
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
