/** How many uses of one tool may be under way at once; the rest waits its turn. */
export class Slots {
  readonly #most: (tool: string) => number;
  readonly #taken = new Map<string, number>();
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(most: (tool: string) => number) {
    this.#most = most;
  }

  /** Undefined: it has its place at once. Else when its turn has come; much may have happened by then. */
  take(tool: string): Promise<void> | undefined {
    const taken = this.#taken.get(tool) ?? 0;
    if (taken < this.#most(tool)) {
      this.#taken.set(tool, taken + 1);
      return undefined;
    }
    return new Promise<void>((resolve) => {
      const waiting = this.#waiting.get(tool) ?? new Set();
      this.#waiting.set(tool, waiting.add(resolve));
    });
  }

  /** Hands the place on, or gives it back. */
  release(tool: string): void {
    const waiting = this.#waiting.get(tool);
    const [next] = waiting ?? [];
    if (next === undefined) this.#taken.set(tool, (this.#taken.get(tool) ?? 1) - 1);
    else {
      waiting?.delete(next);
      next();
    }
  }

  /** Nothing is used any more: whoever waits goes on, and finds that out. */
  letGo(): void {
    for (const waiting of this.#waiting.values()) {
      const all = [...waiting];
      waiting.clear();
      for (const go of all) go();
    }
  }
}
