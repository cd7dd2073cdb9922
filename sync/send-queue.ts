/** A message for a broker. */
export interface Outgoing {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly qos: 0 | 1;
  readonly retain?: boolean | undefined;
  readonly expirySeconds?: number | undefined;
}

interface Waiting {
  readonly message: Outgoing;
  readonly done: (reason: number) => void;
  readonly fail: (error: Error) => void;
}

/** Fixed header, lengths, packet identifier, expiry, at most. */
const HEADER_BYTES = 24;

/** At most so many bytes as a packet. */
export function packetSize({ topic, payload }: Outgoing): number {
  return (
    Buffer.byteLength(topic) +
    (typeof payload === "string" ? Buffer.byteLength(payload) : payload.length) +
    HEADER_BYTES
  );
}

/**
 * Messages of QoS 1 in their order, no more of them without an answer than the broker takes: one more, and it ends the
 * connection (MQTT 5, 4.9), and the next one in the same way. The client library does not look at it.
 */
export class SendQueue {
  readonly #send: (message: Outgoing) => number;
  readonly #most: () => number;
  readonly #waiting: Waiting[] = [];
  readonly #sent = new Map<number, Waiting>();

  /** `send` gives the packet's identifier; `most`: how many may be without an answer. */
  constructor(send: (message: Outgoing) => number, most: () => number) {
    this.#send = send;
    this.#most = most;
  }

  /** Those that wait and those that are under way. */
  get size(): number {
    return this.#waiting.length + this.#sent.size;
  }

  /** The largest packet under way, about; undefined: none is. */
  get largest(): number | undefined {
    const sizes = [...this.#sent.values()].map(({ message }) => packetSize(message));
    return sizes.length === 0 ? undefined : Math.max(...sizes);
  }

  /** Resolves with the reason code of the answer. */
  push(message: Outgoing): Promise<number> {
    return new Promise((done, fail) => {
      this.#waiting.push({ message, done, fail });
      this.#drain();
    });
  }

  /** The broker's answer. False for one that nothing waits for. */
  answered(id: number, reason: number): boolean {
    const one = this.#sent.get(id);
    if (one === undefined) return false;
    this.#sent.delete(id);
    one.done(reason);
    this.#drain();
    return true;
  }

  /** The connection is over. */
  abandon(error: () => Error): void {
    const all = [...this.#sent.values(), ...this.#waiting.splice(0)];
    this.#sent.clear();
    for (const one of all) one.fail(error());
  }

  #drain(): void {
    while (this.#sent.size < this.#most()) {
      const one = this.#waiting.shift();
      if (one === undefined) return;
      this.#sent.set(this.#send(one.message), one);
    }
  }
}
