/** Something that happens once, to be waited for at most so long. */
export class Wait {
  #isDone = false;
  #waiting: (() => void)[] = [];

  done(): void {
    this.#isDone = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  /** Whether it happened in time. */
  async within(limitMs: number): Promise<boolean> {
    if (this.#isDone) return true;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    return this.#isDone;
  }
}
