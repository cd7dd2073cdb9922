/** Something that may be done some times at once, and then once in a while. */
export class Allowance {
  readonly #most: number;
  readonly #everyMs: number;
  #left: number;
  #countedMs: number | undefined;

  constructor(most: number, everyMs: number) {
    this.#most = most;
    this.#everyMs = everyMs;
    this.#left = most;
  }

  /** False: not now. */
  take(nowMs: number): boolean {
    const passedMs = Math.max(0, nowMs - (this.#countedMs ?? nowMs));
    this.#countedMs = nowMs;
    this.#left = Math.min(this.#most, this.#left + passedMs / this.#everyMs);
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
