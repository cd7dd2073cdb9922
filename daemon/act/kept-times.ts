import type { Clock } from "../clock.ts";

/** Boot times that outlive a restart: with both clocks, so that they mean something afterwards. */
export interface Kept<T> {
  readonly v: 1;
  readonly bootId: string;
  readonly bootMs: number;
  readonly wallMs: number;
  readonly trust: string;
  readonly state: T;
}

export function keepTimes<T>(state: T, clock: Clock): string {
  const kept: Kept<T> = {
    v: 1,
    bootId: clock.bootId,
    bootMs: clock.bootMs(),
    wallMs: clock.wallMs(),
    trust: clock.trust(),
    state,
  };
  return JSON.stringify(kept);
}

/**
 * The state, and what is to be added to its boot times so that they are this boot's. After a reboot the wall clock tells
 * how long that took, if it was and is in step with the world; if not, everything is as if it had been just now: too
 * late is safer than too often. Undefined for a text that can not be read.
 */
export function restoreTimes<T>(text: string, now: Clock): { state: T; shiftMs: number } | undefined {
  const kept = keptOf<T>(text);
  if (kept === undefined) return undefined;
  if (kept.bootId === now.bootId) return { state: kept.state, shiftMs: 0 };
  const awayMs = now.wallMs() - kept.wallMs;
  const isTrusted = kept.trust === "synced" && now.trust() === "synced" && awayMs >= 0;
  return { state: kept.state, shiftMs: now.bootMs() - (isTrusted ? awayMs : 0) - kept.bootMs };
}

function keptOf<T>(text: string): Kept<T> | undefined {
  try {
    const kept = JSON.parse(text) as Partial<Kept<T>> | null;
    const isWhole =
      kept?.v === 1 &&
      typeof kept.bootId === "string" &&
      Number.isFinite(kept.bootMs) &&
      Number.isFinite(kept.wallMs) &&
      kept.state !== undefined;
    return isWhole ? (kept as Kept<T>) : undefined;
  } catch {
    // Not JSON: the same as a text of another shape.
    return undefined;
  }
}
