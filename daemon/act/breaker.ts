/** A tool that keeps failing rests. Boot time throughout: a clock that jumps neither opens nor closes it. */
export interface BreakerState {
  readonly failures: number;
  /** Until then nothing is tried; null: it is closed. */
  readonly openUntilBootMs: number | null;
  /** After the rest one try is under way, and decides. */
  readonly trying: boolean;
}

export interface BreakerLimits {
  readonly failures: number;
  readonly openMs: number;
}

export const CLOSED: BreakerState = { failures: 0, openUntilBootMs: null, trying: false };

/** Whether an action may be tried now. */
export function mayTry(state: BreakerState, nowBootMs: number): boolean {
  if (state.openUntilBootMs === null) return true;
  return nowBootMs >= state.openUntilBootMs && !state.trying;
}

/** An action is tried: after a rest it is the only one. */
export function tried(state: BreakerState): BreakerState {
  return state.openUntilBootMs === null ? state : { ...state, trying: true };
}

/** What became of a try. `undefined`: it never left, and says nothing of the tool. */
export function afterTry(
  state: BreakerState,
  limits: BreakerLimits,
  worked: boolean | undefined,
  nowBootMs: number,
): BreakerState {
  if (worked === true) return CLOSED;
  if (worked === undefined) return state.trying ? { ...state, trying: false } : state;
  const failures = state.failures + 1;
  if (failures < limits.failures && state.openUntilBootMs === null)
    return { failures, openUntilBootMs: null, trying: false };
  return { failures, openUntilBootMs: nowBootMs + limits.openMs, trying: false };
}
