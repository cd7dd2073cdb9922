/** How many uses of one tool may be under way at once; the rest waits its turn. */
export class Slots {
  readonly #most: (tool: string) => number;
  readonly #taken = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(most: (tool: string) => number) {
    this.#most = most;
  }

  /** True when it had to wait: much may have happened meanwhile. */
  async take(tool: string): Promise<boolean> {
    const taken = this.#taken.get(tool) ?? 0;
    if (taken < this.#most(tool)) {
      this.#taken.set(tool, taken + 1);
      return false;
    }
    await new Promise<void>((resolve) => {
      const waiting = this.#waiting.get(tool);
      if (waiting === undefined) this.#waiting.set(tool, [resolve]);
      else waiting.push(resolve);
    });
    return true;
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
