import type { Settled } from "./delivery.ts";

interface DurableLog {
  onDurable(callback: () => void): void;
  senderWaits(): void;
}

/**
 * Releases senders when what they sent is on disk. One callback of the log stands for all that were put in during one
 * turn of the loop: many thousand a second are one closure each few milliseconds.
 */
export class Settlements {
  readonly #log: DurableLog;
  #waiting: Settled[] = [];
  #isScheduled = false;

  constructor(log: DurableLog) {
    this.#log = log;
  }

  readonly add = (settled: Settled): void => {
    this.#waiting.push(settled);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#hand);
  };

  readonly #hand = (): void => {
    this.#isScheduled = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#log.onDurable(() => {
      for (const settled of waiting) settled.release();
    });
    this.#log.senderWaits();
  };
}
