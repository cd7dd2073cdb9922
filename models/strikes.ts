/** Three hosts lost to one model in ten minutes are no accident. */
export const STRIKE_LIMIT = 3;
export const STRIKE_WINDOW_MS = 600_000;

/** The strikes that still count, with one more at `nowMs`. */
export function withStrike(strikesMs: readonly number[], nowMs: number): number[] {
  return [...strikesMs.filter((atMs) => nowMs - atMs < STRIKE_WINDOW_MS), nowMs];
}

/** Strikes that still count at `nowMs`. */
export function strikesAt(strikesMs: readonly number[], nowMs: number): number {
  return strikesMs.filter((atMs) => nowMs - atMs < STRIKE_WINDOW_MS).length;
}

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 5000;
/** A host that lived this long ended for a new reason. */
const STABLE_MS = 30_000;

/** How long to wait before the next host, given the last wait and how long the last host lived. */
export function respawnDelayMs(lastDelayMs: number, livedMs: number): number {
  if (lastDelayMs === 0 || livedMs >= STABLE_MS) return FIRST_DELAY_MS;
  return Math.min(LONGEST_DELAY_MS, lastDelayMs * 2);
}

/** What was at work in a host when it ended. */
export interface AtWork {
  /** The model whose batch or load was running. */
  readonly head: number | undefined;
  /** It ran for long enough that memory was looked at from its begin. */
  readonly isHeadWatched: boolean;
  /** All models with something sent to the host. */
  readonly models: readonly number[];
}

export type EndCause = "timeout" | "memory" | "crash" | "killedFromOutside" | "protocol" | "planned";

/** Which model an end counts against. Memory is only blamed where no other model could have taken it. */
export function blamed(cause: EndCause, work: AtWork): number | undefined {
  if (cause === "timeout" || cause === "crash") return work.head;
  if (cause === "memory") return work.isHeadWatched || new Set(work.models).size === 1 ? work.head : undefined;
  return undefined;
}
