/** How many uses of one tool may be under way at once; the rest waits its turn. */
export class Slots {
  readonly #most: (tool: string) => number;
  readonly #taken = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

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
      const waiting = this.#waiting.get(tool);
      if (waiting === undefined) this.#waiting.set(tool, [resolve]);
      else waiting.push(resolve);
    });
  }

  /** Hands the place on, or gives it back. */
  release(tool: string): void {
    const next = this.#waiting.get(tool)?.shift();
    if (next !== undefined) next();
    else this.#taken.set(tool, (this.#taken.get(tool) ?? 1) - 1);
  }

  /** Nothing is used any more: whoever waits goes on, and finds that out. */
  letGo(): void {
    for (const waiting of this.#waiting.values()) for (const go of waiting.splice(0)) go();
  }
}
