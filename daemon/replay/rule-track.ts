import { RESTING, type RuleState, type RuleStep, type RuleTiming, stepRule } from "../decide.ts";
import { isSameState, type ToldStep } from "./told-step.ts";

/** What the replay remembers of one rule and key between two recorded passes. */
export interface Track {
  readonly candidate: RuleState;
  /** The recorded rule's state after the same pass; undefined where it has no such rule. */
  readonly recorded: RuleState | undefined;
}

export interface ReplayedStep {
  readonly kind: RuleStep["kind"];
  /** Undefined when there is nothing to remember. */
  readonly track: Track | undefined;
}

/** The recorded rule of the same id: how it is timed, and the step that it took in this pass. */
export interface Told {
  readonly timing: RuleTiming;
  readonly step: ToldStep;
  /** The same conditions saw the same, but for a past that the line tells in whole milliseconds: they say the same. */
  readonly isRounded: boolean;
}

/** The candidate's step in a recorded pass. `ask` says what its condition comes to in a state. */
export function replayStep(
  track: Track | undefined,
  told: Told | undefined,
  timing: RuleTiming,
  ask: (state: RuleState) => boolean | undefined,
  nowMs: number,
): ReplayedStep {
  let before = asTold(stateBefore(track, told?.step.before), told?.step.before);
  let truth = ask(before);
  if (track !== undefined && told !== undefined && truth === true && told.step.truth === false && !told.isRounded) {
    // What ended for the recorded condition tells nothing of one that holds where that one does not.
    before = { ...track.candidate, passes: before.passes };
    truth = ask(before);
  }
  // Where nothing differs the step is the one that was taken: whole milliseconds do not always tell it again.
  const isAsTold =
    told !== undefined &&
    (truth === told.step.truth || told.isRounded) &&
    isSameTiming(timing, told.timing) &&
    before === told.step.before;
  const step = isAsTold ? { kind: told.step.kind, state: told.step.after } : stepRule(timing, before, truth, nowMs);
  return { kind: step.kind, track: trackOf(step.state, told?.step.after) };
}

function trackOf(candidate: RuleState, recorded: RuleState | undefined): Track | undefined {
  return candidate === RESTING && (recorded === undefined || recorded === RESTING)
    ? undefined
    : { candidate, recorded };
}

/**
 * The candidate's state before a pass. Passes that were not written down lie between two that were; what they did to
 * the recorded rule, the next line tells. A candidate that was in step with it is taken to be so still; of one that was
 * not, only what is certain is followed: a condition that broke, a firing that cleared.
 */
function stateBefore(track: Track | undefined, told: RuleState | undefined): RuleState {
  if (track === undefined) return told ?? RESTING;
  const { candidate, recorded } = track;
  if (told === undefined || recorded === undefined || isSameState(recorded, told)) return candidate;
  if (isSameState(candidate, recorded)) return told;
  const hasCleared = recorded.firing && !told.firing;
  const hasBroken = recorded.sinceBootMs !== null && told.sinceBootMs === null && !told.firing;
  return {
    ...candidate,
    firing: candidate.firing && !hasCleared,
    sinceBootMs: hasCleared || hasBroken ? null : candidate.sinceBootMs,
    passes: candidate.passes + Math.max(0, told.passes - recorded.passes),
  };
}

/** The line's own words where they mean the same: so that nothing drifts. */
function asTold(state: RuleState, told: RuleState | undefined): RuleState {
  return told !== undefined && isSameState(state, told) ? told : state;
}

function isSameTiming(a: RuleTiming, b: RuleTiming): boolean {
  return (
    a.forMs === b.forMs &&
    a.cooldownMs === b.cooldownMs &&
    a.hasClear === b.hasClear &&
    a.keepsLastFired === b.keepsLastFired &&
    a.countsPasses === b.countsPasses
  );
}
