import type { Answer } from "../../models/inference.ts";
import type { Decision } from "../../sync/records.ts";
import type { CompiledAgent, CompiledRule } from "../check.ts";
import { asksClear, type RuleState, type RuleTiming } from "../decide.ts";
import { NEVER_FIRED_SECONDS, type PassValues, type StateValues } from "../expression-names.ts";
import { ExpressionFailure } from "../expressions.ts";
import { readsOf, timingOf } from "../rules.ts";
import type { RecentKeys } from "./recent-keys.ts";
import { replayStep, type Told, type Track } from "./rule-track.ts";
import { toldStep } from "./told-step.ts";

/** What the replay remembers of the keys of one agent: by key, then by rule. */
export type Tracks = RecentKeys<ReadonlyMap<string, Track>>;

interface Bound {
  readonly rule: CompiledRule;
  readonly timing: RuleTiming;
  readonly readsState: boolean;
}

/** Candidate rules over recorded passes. */
export class CandidateRules {
  readonly #compiled: CompiledAgent;
  readonly #rules: readonly Bound[];
  readonly #recorded: ReadonlyMap<string, { readonly rule: CompiledRule; readonly timing: RuleTiming }>;

  /** `recorded`: the rules that made the decisions. */
  constructor(candidate: CompiledAgent, recorded: CompiledAgent) {
    this.#compiled = candidate;
    this.#rules = candidate.rules.map((rule) => ({
      rule,
      timing: timingOf(rule),
      readsState: readsOf(rule).has("state"),
    }));
    this.#recorded = new Map(recorded.rules.map((rule) => [rule.config.id, { rule, timing: timingOf(rule) }]));
  }

  /** The rules that would have fired in this pass. Takes their states one step further. */
  step(
    decision: Decision,
    pass: PassValues,
    answer: Answer | undefined,
    tracks: Tracks,
    nowMs: number,
  ): Map<string, StateValues> {
    this.#compiled.expressions.bind(pass, answer, decision.decidedAt);
    const before = tracks.get(decision.key);
    const after = new Map<string, Track>();
    const fired = new Map<string, StateValues>();
    for (const bound of this.#rules) {
      const { id } = bound.rule.config;
      let seen = UNSEEN;
      const ask = (state: RuleState): boolean | undefined => {
        seen = seenState(state, nowMs);
        return this.#ask(bound, state, seen);
      };
      const step = replayStep(before?.get(id), this.#told(decision, bound, answer, nowMs), bound.timing, ask, nowMs);
      if (step.track !== undefined) after.set(id, step.track);
      if (step.kind === "fired") fired.set(id, seen);
    }
    if (before !== undefined || after.size > 0) tracks.set(decision.key, after.size === 0 ? undefined : after);
    return fired;
  }

  #ask({ rule, timing, readsState }: Bound, state: RuleState, seen: StateValues): boolean | undefined {
    if (readsState) this.#compiled.expressions.bindState(seen);
    const truth = (asksClear(timing, state) ? (rule.clearWhen ?? rule.when) : rule.when).test();
    return truth instanceof ExpressionFailure ? undefined : truth;
  }

  #told(decision: Decision, bound: Bound, answer: Answer | undefined, nowMs: number): Told | undefined {
    const { config } = bound.rule;
    const recorded = this.#recorded.get(config.id);
    const line = decision.rules.find((one) => one.id === config.id);
    if (recorded === undefined || line === undefined) return undefined;
    const { when, clearWhen } = recorded.rule.config;
    const isSame = when === config.when && clearWhen === config.clearWhen && answer === decision.answer;
    return {
      timing: recorded.timing,
      step: toldStep(line.why, line.fired, decision.state?.[config.id], recorded.timing, nowMs),
      isRounded: isSame && recorded.timing.keepsLastFired,
    };
  }
}

const UNSEEN: StateValues = { sinceLastFiredSeconds: NEVER_FIRED_SECONDS, firing: false, passes: 0 };

function seenState(state: RuleState, nowMs: number): StateValues {
  const { lastFiredBootMs, firing, passes } = state;
  const sinceLastFiredSeconds = lastFiredBootMs === null ? NEVER_FIRED_SECONDS : (nowMs - lastFiredBootMs) / 1000;
  return { sinceLastFiredSeconds, firing, passes };
}
