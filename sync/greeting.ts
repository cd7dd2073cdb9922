const FIRST_ANSWER_MS = 3000;
const PROBE_LEAST_MS = 30_000;
const QUICK_HELLOS = 4;

/** When the next hello is due that the fleet has not answered: soon at first, and then now and then for as long as it takes. */
export class Greeting {
  #said = 0;
  #dueMs = 0;
  #saidMs = 0;

  /** From the beginning: the next hello is due at once. */
  again(): void {
    this.#said = 0;
    this.#dueMs = 0;
  }

  isDue(nowMs: number): boolean {
    return nowMs >= this.#dueMs;
  }

  said(nowMs: number, random: () => number): void {
    const waitsMs = this.#said < QUICK_HELLOS ? FIRST_ANSWER_MS * 2 ** this.#said : PROBE_LEAST_MS * (1 + random());
    this.#dueMs = nowMs + waitsMs;
    this.#saidMs = nowMs;
    this.#said += 1;
  }

  /** How long the last hello is ago: an answer took at most so long. */
  sinceMs(nowMs: number): number {
    return Math.max(0, nowMs - this.#saidMs);
  }
}
