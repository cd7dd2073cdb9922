/** The edge at which a key falls silent or speaks again. */
export interface SilenceEdge {
  readonly key: string;
  readonly isSilent: boolean;
  readonly silentMs: number;
}

/** Notices keys that say nothing for too long: once when it begins, once when it ends. Boot time throughout. */
export class Silence {
  readonly #afterMs: number;
  readonly #lastSeen = new Map<string, number>();
  readonly #silent = new Set<string>();

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  /** A key that was known before a restart; its silence is counted from now. */
  restore(key: string, isSilent: boolean, nowBootMs: number): void {
    this.#lastSeen.set(key, nowBootMs);
    if (isSilent) this.#silent.add(key);
  }

  /** The key spoke. Returns the edge when it had been silent; `isNew` when it was never heard before. */
  heard(key: string, nowBootMs: number): { edge: SilenceEdge | undefined; isNew: boolean } {
    const before = this.#lastSeen.get(key);
    this.#lastSeen.set(key, nowBootMs);
    if (!this.#silent.delete(key)) return { edge: undefined, isNew: before === undefined };
    return { edge: { key, isSilent: false, silentMs: nowBootMs - (before ?? nowBootMs) }, isNew: false };
  }

  forget(key: string): void {
    this.#lastSeen.delete(key);
    this.#silent.delete(key);
  }

  /** The keys that have just become silent. */
  check(nowBootMs: number): SilenceEdge[] {
    const edges: SilenceEdge[] = [];
    for (const [key, seenMs] of this.#lastSeen) {
      const silentMs = nowBootMs - seenMs;
      if (silentMs < this.#afterMs || this.#silent.has(key)) continue;
      this.#silent.add(key);
      edges.push({ key, isSilent: true, silentMs });
    }
    return edges;
  }
}
