import { RESTING, type RuleState, type RuleStep, type RuleTiming, seasoned } from "../decide.ts";

/** What a decision's line tells of one rule. Times are on the replay's clock. */
export interface ToldStep {
  readonly kind: RuleStep["kind"];
  readonly before: RuleState;
  readonly after: RuleState;
  /** What the condition that was asked said; undefined for an error. */
  readonly truth: boolean | undefined;
}

/** Reads a rule's step from the line of its decision. `state`: what the line says of the rule before the pass. */
export function toldStep(why: string, fired: boolean, state: unknown, timing: RuleTiming, nowMs: number): ToldStep {
  const before = stateOf(state, nowMs);
  const kind = fired ? "fired" : kindOf(why);
  return { kind, before, after: afterStep(kind, before, timing, nowMs), truth: truthOf(kind, before, timing) };
}

function stateOf(told: unknown, nowMs: number): RuleState {
  if (typeof told !== "object" || told === null) return RESTING;
  const { sinceMs, firing, lastFiredMs, passes, failing } = told as Record<string, unknown>;
  const at = (ageMs: unknown): number | null => (typeof ageMs === "number" ? nowMs - ageMs : null);
  return {
    sinceBootMs: at(sinceMs),
    firing: firing === true,
    lastFiredBootMs: at(lastFiredMs),
    passes: typeof passes === "number" ? passes : 0,
    failing: failing === true,
  };
}

function kindOf(why: string): RuleStep["kind"] {
  if (why === "still firing") return "firing";
  if (why === "cleared") return "cleared";
  if (why.startsWith("holding")) return "holding";
  if (why.startsWith("cooldown")) return "cooling";
  return why.startsWith("error") ? "failed" : "quiet";
}

function truthOf(kind: RuleStep["kind"], before: RuleState, timing: RuleTiming): boolean | undefined {
  if (kind === "failed") return undefined;
  if (before.firing) return timing.hasClear === (kind === "cleared");
  return kind !== "quiet";
}

function afterStep(kind: RuleStep["kind"], before: RuleState, timing: RuleTiming, nowMs: number): RuleState {
  if (kind === "quiet" && before === RESTING && !timing.countsPasses) return RESTING;
  const state = seasoned(timing, before, nowMs);
  switch (kind) {
    case "failed":
      return rested({ ...state, sinceBootMs: null, failing: true });
    case "firing":
      return rested({ ...state, failing: false });
    case "cleared":
      return rested({ ...state, firing: false, sinceBootMs: null, failing: false });
    case "quiet":
      return rested({ ...state, sinceBootMs: null, failing: false });
    case "holding":
    case "cooling":
      return { ...state, sinceBootMs: state.sinceBootMs ?? nowMs, failing: false };
    case "fired":
      return { ...state, firing: true, sinceBootMs: null, lastFiredBootMs: nowMs, failing: false };
  }
}

/** Lines say times in whole milliseconds, and a pass and its line lie a little apart. */
const SAME_TIME_MS = 50;

export function isSameState(a: RuleState, b: RuleState): boolean {
  if (a === b) return true;
  return (
    isSameTime(a.sinceBootMs, b.sinceBootMs) &&
    isSameTime(a.lastFiredBootMs, b.lastFiredBootMs) &&
    a.firing === b.firing &&
    a.passes === b.passes &&
    a.failing === b.failing
  );
}

function isSameTime(a: number | null, b: number | null): boolean {
  return a === b || (a !== null && b !== null && Math.abs(a - b) <= SAME_TIME_MS);
}

function rested(state: RuleState): RuleState {
  return isSameState(state, RESTING) ? RESTING : state;
}
