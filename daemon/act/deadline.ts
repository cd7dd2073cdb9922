import type { Deadline } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";

const BOOT_DIGITS = 8;

export function deadlineIn(withinMs: number, nowMs: number, clock: Clock): Deadline {
  return {
    bootMs: Math.round(clock.bootMs() + withinMs),
    wallMs: Math.round(nowMs + withinMs),
    boot: clock.bootId.slice(0, BOOT_DIGITS),
  };
}

export function isOfThisBoot(deadline: Deadline, clock: Clock): boolean {
  return deadline.boot === clock.bootId.slice(0, BOOT_DIGITS);
}

/**
 * The deadline on this boot's clock. One of an earlier boot is told by the wall clock, if that is in step with the
 * world; if not, it is over: nothing is done too late because a clock was wrong.
 */
export function bootDeadlineMs(deadline: Deadline, clock: Clock): number {
  if (isOfThisBoot(deadline, clock)) return deadline.bootMs;
  if (clock.trust() !== "synced") return 0;
  return clock.bootMs() + deadline.wallMs - clock.wallMs();
}

/** A moment of this boot or an earlier one on this boot's clock; one that can not be told counts as now. */
export function sinceBootMs(
  at: { readonly bootId: string; readonly bootMs: number; readonly wallMs: number },
  clock: Clock,
): number {
  if (at.bootId === clock.bootId) return at.bootMs;
  if (clock.trust() !== "synced") return clock.bootMs();
  return clock.bootMs() + Math.min(0, at.wallMs - clock.wallMs());
}
