import type { Clock } from "./clock.ts";
import { RESTING, type RuleState } from "./decide.ts";

/** A rule's state as it is stored: with both clocks, so that it means something after a restart. */
interface SavedRuleState {
  readonly v: 1;
  readonly since: number | null;
  readonly firing: boolean;
  readonly lastFired: number | null;
  readonly passes: number;
  readonly failing: boolean;
  readonly bootId: string;
  readonly bootMs: number;
  readonly wallMs: number;
  readonly trust: string;
}

/** The text that is stored, or null when there is nothing to remember. */
export function saveRuleState(state: RuleState, clock: Clock): string | null {
  if (state === RESTING) return null;
  const saved: SavedRuleState = {
    v: 1,
    since: state.sinceBootMs,
    firing: state.firing,
    lastFired: state.lastFiredBootMs,
    passes: state.passes,
    failing: state.failing,
    bootId: clock.bootId,
    bootMs: clock.bootMs(),
    wallMs: clock.wallMs(),
    trust: clock.trust(),
  };
  return JSON.stringify(saved);
}

/**
 * A stored state on this start's clock. In the same boot times are as they were. After a reboot the wall clock tells how
 * long it took, if it was and is in step with the world; if not, holding begins anew and a cooldown runs in full. A text
 * that can not be read is taken as having fired just now: too late is safer than too often.
 */
export function restoreRuleState(text: string, now: Clock): RuleState {
  const nowBootMs = now.bootMs();
  const saved = savedOf(text);
  if (saved === undefined) return { ...RESTING, lastFiredBootMs: nowBootMs };
  const { firing, passes, failing } = saved;
  if (saved.bootId === now.bootId) {
    return {
      sinceBootMs: past(saved.since, 0, nowBootMs),
      lastFiredBootMs: past(saved.lastFired, 0, nowBootMs),
      firing,
      passes,
      failing,
    };
  }
  const awayMs = now.wallMs() - saved.wallMs;
  const isTrusted = saved.trust === "synced" && now.trust() === "synced" && awayMs >= 0;
  if (!isTrusted) {
    return { sinceBootMs: null, lastFiredBootMs: saved.lastFired === null ? null : nowBootMs, firing, passes, failing };
  }
  const shiftMs = nowBootMs - awayMs - saved.bootMs;
  return {
    sinceBootMs: past(saved.since, shiftMs, nowBootMs),
    lastFiredBootMs: past(saved.lastFired, shiftMs, nowBootMs),
    firing,
    passes,
    failing,
  };
}

/** Never later than now: a time to come would hold a rule back for as long as the clock was wrong. */
function past(bootMs: number | null, shiftMs: number, nowBootMs: number): number | null {
  return bootMs === null ? null : Math.min(bootMs + shiftMs, nowBootMs);
}

function savedOf(text: string): SavedRuleState | undefined {
  try {
    const saved = JSON.parse(text) as Partial<SavedRuleState> | null;
    const isTime = (value: unknown) => value === null || Number.isFinite(value);
    const isWhole =
      saved?.v === 1 &&
      isTime(saved.since) &&
      isTime(saved.lastFired) &&
      typeof saved.firing === "boolean" &&
      typeof saved.failing === "boolean" &&
      Number.isFinite(saved.passes) &&
      Number.isFinite(saved.bootMs) &&
      Number.isFinite(saved.wallMs);
    return isWhole ? (saved as SavedRuleState) : undefined;
  } catch {
    // Not JSON: the same as a text of another shape.
    return undefined;
  }
}
