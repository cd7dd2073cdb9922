/** Keys for which something is the case. Says when it begins and when it ends, each once. */
export class Edges {
  readonly #on = new Set<string>();

  /** True when it was not the case before. */
  begins(key: string): boolean {
    if (this.#on.has(key)) return false;
    this.#on.add(key);
    return true;
  }

  /** True when it was the case before. On the path of every event, where mostly nothing is. */
  ends(key: string): boolean {
    return this.#on.size > 0 && this.#on.delete(key);
  }

  get size(): number {
    return this.#on.size;
  }

  keys(): Iterable<string> {
    return this.#on.keys();
  }
}
