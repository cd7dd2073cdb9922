/** Something kept per key; `older` and `newer` are the order in which keys were last seen. */
export interface KeyEntry {
  readonly key: string;
  older: KeyEntry | undefined;
  newer: KeyEntry | undefined;
  /** Number of the last touch, over all keys. */
  touched: number;
}

/** What is kept per key, for at most `maxKeys` of them: the key that was seen longest ago goes first. */
export class KeyOrder<Entry extends KeyEntry> {
  readonly #entries = new Map<string, Entry>();
  readonly #maxKeys: number;
  #newest: Entry | undefined;
  #oldest: Entry | undefined;
  #touches = 0;

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Number of touches so far: a mark for `touchedSince`. */
  get touches(): number {
    return this.#touches;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** Adds an entry as the newest without counting it as touched; returns the one that had to go. */
  add(entry: Entry): Entry | undefined {
    this.remove(entry.key);
    const evicted = this.#entries.size >= this.#maxKeys ? this.#oldest : undefined;
    if (evicted !== undefined) this.remove(evicted.key);
    this.#entries.set(entry.key, entry);
    entry.touched = this.#touches;
    this.#link(entry);
    return evicted;
  }

  touch(entry: Entry): void {
    this.#touches += 1;
    entry.touched = this.#touches;
    if (entry === this.#newest) return;
    this.#unlink(entry);
    this.#link(entry);
  }

  remove(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    this.#unlink(entry);
    return true;
  }

  /** Keys touched after the mark, the one touched longest ago first. */
  touchedSince(mark: number): string[] {
    const keys: string[] = [];
    let entry: KeyEntry | undefined = this.#newest;
    for (; entry !== undefined && entry.touched > mark; entry = entry.older) keys.push(entry.key);
    return keys.reverse();
  }

  entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  #link(entry: Entry): void {
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest !== undefined) this.#newest.newer = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
  }

  #unlink(entry: Entry): void {
    if (entry.older !== undefined) entry.older.newer = entry.newer;
    if (entry.newer !== undefined) entry.newer.older = entry.older;
    if (this.#newest === entry) this.#newest = entry.older as Entry | undefined;
    if (this.#oldest === entry) this.#oldest = entry.newer as Entry | undefined;
    entry.older = undefined;
    entry.newer = undefined;
  }
}
