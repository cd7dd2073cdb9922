import type { Receipt } from "./bus.ts";

/**
 * Acknowledgements of one connection, given in the order in which the messages came (MQTT 5, MQTT-4.6.0-2), however
 * they are released. An unreleased one holds back those behind it.
 */
export class OrderedReceipts<T> {
  readonly #settle: (item: T) => void;
  #oldest: HeldReceipt<T> | undefined;
  #newest: HeldReceipt<T> | undefined;
  #held = 0;
  #closed = false;

  /** `settle` is called once for each item, in order of `add`. */
  constructor(settle: (item: T) => void) {
    this.#settle = settle;
  }

  get held(): number {
    return this.#held;
  }

  add(item: T): Receipt {
    const receipt = new HeldReceipt(this, item);
    if (this.#newest === undefined) this.#oldest = receipt;
    else this.#newest.next = receipt;
    this.#newest = receipt;
    this.#held += 1;
    return receipt;
  }

  /** The connection is gone: nothing can be acknowledged on it any more. The sender will come again. */
  close(): void {
    this.#closed = true;
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#held = 0;
  }

  /** Settles what is at the front and released. Called by the receipts. */
  advance(): void {
    if (this.#closed) return;
    let first = this.#oldest;
    while (first?.released === true) {
      this.#held -= 1;
      this.#oldest = first.next;
      if (this.#oldest === undefined) this.#newest = undefined;
      this.#settle(first.item);
      // Settling may have closed the connection, or added to the queue.
      first = this.#oldest;
    }
  }
}

class HeldReceipt<T> implements Receipt {
  readonly item: T;
  readonly #queue: OrderedReceipts<T>;
  next: HeldReceipt<T> | undefined = undefined;
  released = false;

  constructor(queue: OrderedReceipts<T>, item: T) {
    this.#queue = queue;
    this.item = item;
  }

  release(): void {
    if (this.released) return;
    this.released = true;
    this.#queue.advance();
  }
}
