import type { RuleState } from "./decide.ts";
import { NEVER_FIRED_SECONDS, type StateValues } from "./expression-names.ts";

/** A state as a decision tells it: seconds, and only what says something. */
export interface ShownState {
  readonly firing?: boolean;
  readonly held?: number;
  readonly sinceLastFired?: number;
  readonly passes?: number;
}

export function shownState(state: RuleState, nowBootMs: number): ShownState {
  const seconds = (bootMs: number) => Math.round(nowBootMs - bootMs) / 1000;
  return {
    ...(state.firing ? { firing: true } : {}),
    ...(state.sinceBootMs === null ? {} : { held: seconds(state.sinceBootMs) }),
    ...(state.lastFiredBootMs === null ? {} : { sinceLastFired: seconds(state.lastFiredBootMs) }),
    ...(state.passes > 0 ? { passes: state.passes } : {}),
  };
}

/** The same as `state` in expressions. */
export function stateValues(state: ShownState | undefined): StateValues {
  return {
    sinceLastFiredSeconds: state?.sinceLastFired ?? NEVER_FIRED_SECONDS,
    firing: state?.firing ?? false,
    passes: state?.passes ?? 0,
  };
}
