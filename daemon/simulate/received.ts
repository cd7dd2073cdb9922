export interface ReceivedSummary {
  readonly commands: number;
  readonly differentIds: number;
  readonly withoutId: number;
  readonly notUnderstood: number;
  /** Ids that came more than once, with how often. */
  readonly repeated: Readonly<Record<string, number>>;
}

/** Counts what reached the actuators: a ledger that the gateway does not write. */
export class Received {
  readonly #times = new Map<string, number>();
  #commands = 0;
  #withoutId = 0;
  #notUnderstood = 0;

  /** How often this id has come, this time included. */
  add(id: string | undefined): number {
    this.#commands += 1;
    if (id === undefined) {
      this.#withoutId += 1;
      return 1;
    }
    const times = (this.#times.get(id) ?? 0) + 1;
    this.#times.set(id, times);
    return times;
  }

  addNotUnderstood(): void {
    this.#notUnderstood += 1;
  }

  summary(): ReceivedSummary {
    return {
      commands: this.#commands,
      differentIds: this.#times.size,
      withoutId: this.#withoutId,
      notUnderstood: this.#notUnderstood,
      repeated: Object.fromEntries([...this.#times].filter(([, times]) => times > 1)),
    };
  }
}
