/** A command that came more than once under one id. */
export interface Repeated {
  readonly id: string;
  readonly device: string;
  readonly cmd: string;
  readonly times: number;
}

export interface ReceivedSummary {
  readonly commands: number;
  readonly differentIds: number;
  readonly withoutId: number;
  readonly notUnderstood: number;
  readonly repeated: readonly Repeated[];
}

/** Counts what reached the actuators: a ledger that the gateway does not write. */
export class Received {
  readonly #byId = new Map<string, Repeated>();
  #commands = 0;
  #withoutId = 0;
  #notUnderstood = 0;

  /** How often this id has come, this time included. */
  add(id: string | undefined, device: string, cmd: string): number {
    this.#commands += 1;
    if (id === undefined) {
      this.#withoutId += 1;
      return 1;
    }
    const times = (this.#byId.get(id)?.times ?? 0) + 1;
    this.#byId.set(id, { id, device, cmd, times });
    return times;
  }

  addNotUnderstood(): void {
    this.#notUnderstood += 1;
  }

  summary(): ReceivedSummary {
    return {
      commands: this.#commands,
      differentIds: this.#byId.size,
      withoutId: this.#withoutId,
      notUnderstood: this.#notUnderstood,
      repeated: [...this.#byId.values()].filter(({ times }) => times > 1),
    };
  }
}
