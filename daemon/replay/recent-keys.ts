/** Something for each of the most recently seen keys, so that any number of keys takes a bounded place. */
export class RecentKeys<T> {
  readonly #atMost: number;
  readonly #kept = new Map<string, T>();
  /** Keys that had to go. */
  evicted = 0;

  constructor(atMost: number) {
    this.#atMost = atMost;
  }

  get(key: string): T | undefined {
    return this.#kept.get(key);
  }

  set(key: string, value: T | undefined): void {
    this.#kept.delete(key);
    if (value === undefined) return;
    this.#kept.set(key, value);
    if (this.#kept.size <= this.#atMost) return;
    const [oldest] = this.#kept.keys();
    this.#kept.delete(oldest as string);
    this.evicted += 1;
  }
}
