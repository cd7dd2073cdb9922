/**
 * Event ids of one agent that were seen, the oldest forgotten first. A ring beside the set: asking a Set for its first
 * entry walks over all that were deleted before it.
 */
export class Dedupe {
  readonly #capacity: number;
  readonly #known = new Set<string>();
  readonly #ring: string[] = [];
  #oldest = 0;

  /** `ids`: those that were stored, oldest first. */
  constructor(capacity: number, ids: Iterable<string> = []) {
    this.#capacity = Math.max(1, Math.floor(capacity));
    for (const id of ids) this.add(id);
  }

  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** Remembers an id; one that is known stays as old as it is. */
  add(id: string): void {
    if (this.#known.has(id)) return;
    this.#known.add(id);
    if (this.#ring.length < this.#capacity) {
      this.#ring.push(id);
      return;
    }
    this.#known.delete(this.#ring[this.#oldest] as string);
    this.#ring[this.#oldest] = id;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
  }

  /** Oldest first. */
  ids(): string[] {
    return [...this.#ring.slice(this.#oldest), ...this.#ring.slice(0, this.#oldest)];
  }

  get size(): number {
    return this.#known.size;
  }
}
