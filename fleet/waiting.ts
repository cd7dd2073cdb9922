/** A message of a gateway that waits for its turn. */
export interface Message {
  readonly gateway: string;
  readonly what: string;
  readonly payload: Uint8Array;
}

/**
 * Messages in the order in which they came from each gateway, and the gateways in turn: one that floods waits behind
 * itself alone. Bounded for each; how many may wait in all is the caller's to say.
 */
export class Waiting {
  readonly #most: number;
  /** In the order of their turns; nobody is here with nothing. */
  readonly #of = new Map<string, Message[]>();
  #size = 0;

  constructor(mostOfOne: number) {
    this.#most = mostOfOne;
  }

  get size(): number {
    return this.#size;
  }

  /** False when this gateway has too many already. */
  add(message: Message): boolean {
    const own = this.#of.get(message.gateway);
    if (own !== undefined && own.length >= this.#most) return false;
    if (own === undefined) this.#of.set(message.gateway, [message]);
    else own.push(message);
    this.#size += 1;
    return true;
  }

  take(): Message | undefined {
    const [turn] = this.#of;
    if (turn === undefined) return undefined;
    const [gateway, own] = turn;
    const message = own.shift();
    this.#of.delete(gateway);
    if (own.length > 0) this.#of.set(gateway, own);
    this.#size -= 1;
    return message;
  }

  clear(): void {
    this.#of.clear();
    this.#size = 0;
  }
}
