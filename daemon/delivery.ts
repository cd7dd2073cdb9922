import type { InputRow } from "../models/inference.ts";

/** Told once, when what became of a delivery is on disk. */
export interface Settled {
  release(): void;
}

/** One event offered to one agent. Parsed, with its fields in the order of the agent's. */
export interface Delivery {
  readonly source: number;
  readonly key: string;
  readonly eventId: string | undefined;
  readonly eventTimeMs: number;
  readonly receivedMs: number;
  readonly receivedBootMs: number;
  readonly values: FieldRow;
  readonly trace: string | undefined;
  readonly settled: Settled | undefined;
  readonly topic: string | undefined;
}

/** Values of one event in the order of the agent's fields; undefined where this source has none. */
export type FieldRow = readonly (number | string | boolean | undefined)[];
export type { InputRow };

/** One message offered to several agents is acknowledged when the last of them has it on disk. */
export class SharedReceipt implements Settled {
  readonly #receipt: Settled;
  #open: number;

  constructor(receipt: Settled, deliveries: number) {
    this.#receipt = receipt;
    this.#open = deliveries;
  }

  release(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#receipt.release();
  }
}
