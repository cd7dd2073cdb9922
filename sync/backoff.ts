/** How a connection that failed waits for its next try. */
export interface BackoffLimits {
  readonly baseMs: number;
  readonly capMs: number;
  /** A refusal of who we are changes only when somebody does something. */
  readonly refusedCapMs: number;
  /** The least after another client took this one's name: two that take it from each other must not do so at once. */
  readonly takenOverMs: number;
}

export const usualBackoff: BackoffLimits = {
  baseMs: 1000,
  capMs: 300_000,
  refusedCapMs: 900_000,
  takenOverMs: 60_000,
};

export type Failure = "usual" | "refused" | "takenOver";

/**
 * Full jitter: anywhere between nothing and a bound that doubles, so that a fleet that lost its broker does not come back
 * at one time. `count`: failures since the last connection that proved good; for `takenOver`, how often it happened
 * before. `random`: from 0 up to 1.
 */
export function backoffMs(count: number, failure: Failure, random: number, limits = usualBackoff): number {
  const { baseMs, capMs, refusedCapMs, takenOverMs } = limits;
  const bound = (leastMs: number, mostMs: number): number => Math.min(mostMs, leastMs * 2 ** Math.min(count, 30));
  if (failure === "takenOver") return takenOverMs + random * bound(takenOverMs, Math.max(takenOverMs, refusedCapMs));
  return random * bound(baseMs, failure === "refused" ? Math.max(capMs, refusedCapMs) : capMs);
}
