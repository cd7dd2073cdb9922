/** When a rule fires, apart from its conditions. */
export interface RuleTiming {
  readonly forMs: number;
  readonly cooldownMs: number;
  /** It has a condition of its own that ends the firing. */
  readonly hasClear: boolean;
  /** An expression asks since when the rule has not fired: the time is kept after the cooldown. */
  readonly keepsLastFired: boolean;
  /** An expression asks how many passes there were. */
  readonly countsPasses: boolean;
}

/** What a rule remembers of one key. Never changed in place; boot time throughout. */
export interface RuleState {
  /** When the condition began to hold, while the rule waits to fire. */
  readonly sinceBootMs: number | null;
  /** It has fired and has not cleared since. */
  readonly firing: boolean;
  readonly lastFiredBootMs: number | null;
  readonly passes: number;
  /** The last pass had an error instead of an answer. */
  readonly failing: boolean;
}

/** Nothing to remember: the state of nearly all keys nearly always, and what is not kept. */
export const RESTING: RuleState = {
  sinceBootMs: null,
  firing: false,
  lastFiredBootMs: null,
  passes: 0,
  failing: false,
};

export type RuleStep =
  | { readonly kind: "quiet" | "cleared" | "firing" | "fired"; readonly state: RuleState }
  | { readonly kind: "holding"; readonly state: RuleState; readonly heldMs: number }
  | { readonly kind: "cooling"; readonly state: RuleState; readonly leftMs: number }
  | { readonly kind: "failed"; readonly state: RuleState };

const QUIET: RuleStep = { kind: "quiet", state: RESTING };

/** Which condition decides the next step: with hysteresis, a rule that fires looks only at what clears it. */
export function asksClear(timing: RuleTiming, state: RuleState): boolean {
  return state.firing && timing.hasClear;
}

/**
 * The next step of a rule for one key. `answer`: what the asked condition says, undefined for an error. A rule fires
 * once when its condition has held for long enough, and again only after it cleared and its cooldown is over. An error
 * never fires and never clears; it breaks the time that the condition has to hold.
 */
export function stepRule(
  timing: RuleTiming,
  state: RuleState,
  answer: boolean | undefined,
  nowBootMs: number,
): RuleStep {
  if (answer === false && state === RESTING && !timing.countsPasses) return QUIET;
  const before = seasoned(timing, state, nowBootMs);
  if (answer === undefined) return { kind: "failed", state: changed(before, { sinceBootMs: null, failing: true }) };
  if (before.firing) {
    const clears = timing.hasClear ? answer : !answer;
    if (clears)
      return { kind: "cleared", state: changed(before, { firing: false, sinceBootMs: null, failing: false }) };
    return { kind: "firing", state: changed(before, { failing: false }) };
  }
  if (!answer) return { kind: "quiet", state: changed(before, { sinceBootMs: null, failing: false }) };
  return holding(timing, before, nowBootMs);
}

function holding(timing: RuleTiming, state: RuleState, nowBootMs: number): RuleStep {
  const sinceBootMs = state.sinceBootMs ?? nowBootMs;
  const heldMs = nowBootMs - sinceBootMs;
  const waiting = { sinceBootMs, failing: false };
  if (heldMs < timing.forMs) return { kind: "holding", state: changed(state, waiting), heldMs };
  const leftMs = state.lastFiredBootMs === null ? 0 : state.lastFiredBootMs + timing.cooldownMs - nowBootMs;
  if (leftMs > 0) return { kind: "cooling", state: changed(state, waiting), leftMs };
  const fired = { firing: true, sinceBootMs: null, lastFiredBootMs: nowBootMs, failing: false };
  return { kind: "fired", state: changed(state, fired) };
}

/** Counts the pass, and forgets a firing whose cooldown is over, so that keys come to rest. */
export function seasoned(timing: RuleTiming, state: RuleState, nowBootMs: number): RuleState {
  const { lastFiredBootMs } = state;
  const isOver = lastFiredBootMs !== null && nowBootMs - lastFiredBootMs >= timing.cooldownMs;
  const forgets = isOver && !timing.keepsLastFired && !state.firing;
  if (!forgets && !timing.countsPasses) return state;
  return {
    ...state,
    lastFiredBootMs: forgets ? null : lastFiredBootMs,
    passes: timing.countsPasses ? state.passes + 1 : state.passes,
  };
}

/** The same object when nothing is different: identity tells what has to be stored. */
function changed(state: RuleState, to: Partial<RuleState>): RuleState {
  const next = { ...state, ...to };
  if (isSame(next, RESTING)) return RESTING;
  return isSame(next, state) ? state : next;
}

function isSame(a: RuleState, b: RuleState): boolean {
  return (
    a.sinceBootMs === b.sinceBootMs &&
    a.firing === b.firing &&
    a.lastFiredBootMs === b.lastFiredBootMs &&
    a.passes === b.passes &&
    a.failing === b.failing
  );
}
