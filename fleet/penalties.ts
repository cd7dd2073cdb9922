/** For each millisecond that a gateway wastes it is not listened to for so many: it can waste a twentieth of the time. */
const FACTOR = 20;
const LEAST_MS = 250;
const MOST_MS = 60_000;
/** More names than this are never kept; those whose time is over go first. */
const MOST_GATEWAYS = 10_000;

/**
 * Gateways that are not listened to for a while, since what they sent cost time and was nothing. What they send meanwhile
 * is let go unread: a gateway that means well sends it again.
 */
export class Penalties {
  readonly #until = new Map<string, number>();

  isShut(gateway: string, nowMs: number): boolean {
    const until = this.#until.get(gateway);
    if (until === undefined) return false;
    if (nowMs < until) return true;
    this.#until.delete(gateway);
    return false;
  }

  wasted(gateway: string, spentMs: number, nowMs: number): void {
    if (this.#until.size >= MOST_GATEWAYS)
      for (const [name, until] of this.#until) if (until <= nowMs) this.#until.delete(name);
    if (this.#until.size >= MOST_GATEWAYS) return;
    const from = Math.max(nowMs, this.#until.get(gateway) ?? 0);
    this.#until.set(gateway, Math.min(from + Math.max(LEAST_MS, spentMs * FACTOR), nowMs + MOST_MS));
  }
}
