import type { Answer } from "../models/inference.ts";
import type { Proposed } from "./act/action.ts";
import type { RuleLine } from "./body.ts";
import type { CompiledAgent, CompiledRule } from "./check.ts";
import type { Clock } from "./clock.ts";
import { proposedBy } from "./compiled-action.ts";
import { asksClear, RESTING, type RuleState, type RuleStep, type RuleTiming, stepRule } from "./decide.ts";
import { Edges } from "./edges.ts";
import { NEVER_FIRED_SECONDS, type PassValues } from "./expression-names.ts";
import { ExpressionFailure } from "./expressions.ts";
import type { Pass } from "./pass.ts";
import type { AgentRules, RuleVerdict } from "./recorder.ts";
import { restoreRuleState, saveRuleState } from "./rule-memory.ts";

/** Where states are kept, in the transaction of the decision that changed them. */
export interface RuleStates {
  keep(key: string, rule: string, state: string | null): void;
}

export interface SavedState {
  readonly key: string;
  readonly rule: string;
  readonly state: string;
}

interface Deps {
  readonly clock: Clock;
  readonly states: RuleStates;
}

/** The state under which "no answer" of a key is kept beside those of the rules. */
const FALLBACK = "$fallback";

/** One rule with the outcomes that nearly every pass has, made once. */
class BoundRule {
  readonly rule: CompiledRule;
  readonly timing: RuleTiming;
  readonly readsState: boolean;
  readonly states = new Map<string, RuleState>();
  readonly quiet: RuleLine;
  readonly fired: RuleLine;
  readonly firing: RuleLine;
  readonly cleared: RuleLine;

  constructor(rule: CompiledRule) {
    const { id } = rule.config;
    this.rule = rule;
    this.readsState = readsOf(rule).has("state");
    this.timing = timingOf(rule);
    this.quiet = { id, fired: false, why: "condition false" };
    this.fired = { id, fired: true, why: "fired" };
    this.firing = { id, fired: false, why: "still firing" };
    this.cleared = { id, fired: false, why: "cleared" };
  }
}

/** Root names and paths that a rule's conditions read. */
export function readsOf({ when, clearWhen }: CompiledRule): ReadonlySet<string> {
  return new Set([...when.reads, ...(clearWhen?.reads ?? [])]);
}

export function timingOf(rule: CompiledRule): RuleTiming {
  const reads = readsOf(rule);
  return {
    forMs: rule.config.forSeconds * 1000,
    cooldownMs: rule.config.cooldownSeconds * 1000,
    hasClear: rule.clearWhen !== undefined,
    keepsLastFired: reads.has("state.sinceLastFired"),
    countsPasses: reads.has("state.passes"),
  };
}

/** The rules of one agent with their states by key. */
export class BoundRules implements AgentRules {
  readonly #compiled: CompiledAgent;
  readonly #rules: readonly BoundRule[];
  readonly #deps: Deps;
  readonly #noAnswer = new Edges();

  constructor(compiled: CompiledAgent, deps: Deps, saved: readonly SavedState[] = []) {
    this.#compiled = compiled;
    this.#rules = compiled.rules.map((rule) => new BoundRule(rule));
    this.#deps = deps;
    for (const { key, rule, state } of saved) {
      if (rule === FALLBACK) this.#noAnswer.begins(key);
      this.#rules.find((one) => one.rule.config.id === rule)?.states.set(key, restoreRuleState(state, deps.clock));
    }
  }

  evaluate(pass: Pass, answer: Answer, nowMs: number): RuleVerdict {
    const nowBootMs = this.#deps.clock.bootMs();
    this.#compiled.expressions.bind(pass, answer, nowMs);
    const lines = new Array<RuleLine>(this.#rules.length);
    let fired = false;
    let changed = false;
    let before = "";
    let proposed: Proposed[] | undefined;
    for (const [at, bound] of this.#rules.entries()) {
      const state = bound.states.get(pass.key) ?? RESTING;
      const { step, failure } = this.#step(bound, state, nowBootMs);
      lines[at] = lineOf(bound, step, failure);
      if (step.kind === "fired") {
        fired = true;
        const { actions, config } = bound.rule;
        if (actions.length > 0) proposed = [...(proposed ?? []), ...proposedBy(config.id, actions)];
      }
      if (state !== RESTING)
        before += `${before === "" ? "{" : ","}${JSON.stringify(bound.rule.config.id)}:${stateText(state, nowBootMs)}`;
      if (step.state === state) continue;
      changed ||=
        step.state.firing !== state.firing ||
        (step.state.sinceBootMs === null) !== (state.sinceBootMs === null) ||
        step.state.failing !== state.failing;
      this.#keep(bound, pass.key, step.state);
    }
    return { rules: lines, fired, stateBefore: before === "" ? "" : `${before}}`, changed, proposed };
  }

  /** What is proposed where there is no answer: when a fallback begins, when a key falls silent. */
  withoutAnswer(why: "fallback" | "silence", seen: PassValues, nowMs: number): Proposed[] {
    const { withoutAnswer, fallback, silence } = this.#compiled;
    const actions = why === "fallback" ? fallback : silence;
    if (actions.length === 0) return [];
    withoutAnswer.bind(seen, undefined, nowMs);
    return proposedBy(why, actions);
  }

  fallbackBegins(key: string): boolean {
    if (!this.#noAnswer.begins(key)) return false;
    this.#deps.states.keep(key, FALLBACK, "true");
    return true;
  }

  fallbackEnds(key: string): boolean {
    if (!this.#noAnswer.ends(key)) return false;
    this.#deps.states.keep(key, FALLBACK, null);
    return true;
  }

  /** The key is gone: so is what was remembered of it. */
  forget(key: string): void {
    this.#noAnswer.ends(key);
    for (const bound of this.#rules) bound.states.delete(key);
  }

  #step(
    bound: BoundRule,
    state: RuleState,
    nowBootMs: number,
  ): { step: RuleStep; failure: ExpressionFailure | undefined } {
    const { rule, timing } = bound;
    if (bound.readsState) {
      const { lastFiredBootMs } = state;
      const sinceLastFiredSeconds =
        lastFiredBootMs === null ? NEVER_FIRED_SECONDS : (nowBootMs - lastFiredBootMs) / 1000;
      this.#compiled.expressions.bindState({ sinceLastFiredSeconds, firing: state.firing, passes: state.passes });
    }
    const expression = asksClear(timing, state) ? (rule.clearWhen ?? rule.when) : rule.when;
    const truth = expression.test();
    if (truth instanceof ExpressionFailure)
      return { step: stepRule(timing, state, undefined, nowBootMs), failure: truth };
    return { step: stepRule(timing, state, truth, nowBootMs), failure: undefined };
  }

  #keep(bound: BoundRule, key: string, state: RuleState): void {
    if (state === RESTING) bound.states.delete(key);
    else bound.states.set(key, state);
    this.#deps.states.keep(key, bound.rule.config.id, saveRuleState(state, this.#deps.clock));
  }
}

function lineOf(bound: BoundRule, step: RuleStep, failure: ExpressionFailure | undefined): RuleLine {
  const { id } = bound.rule.config;
  switch (step.kind) {
    case "quiet":
      return bound.quiet;
    case "fired":
      return bound.fired;
    case "firing":
      return bound.firing;
    case "cleared":
      return bound.cleared;
    case "holding":
      return { id, fired: false, why: `holding ${seconds(step.heldMs)} of ${seconds(bound.timing.forMs)} s` };
    case "cooling":
      return { id, fired: false, why: `cooldown ${seconds(step.leftMs)} s left` };
    case "failed":
      return { id, fired: false, why: `error: ${failure?.message ?? "unknown"}` };
  }
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}

/** A state as a decision shows it, with ages in place of boot times: enough to take the step again. */
export function stateText(state: RuleState, nowBootMs: number): string {
  return JSON.stringify({
    sinceMs: state.sinceBootMs === null ? null : Math.round(nowBootMs - state.sinceBootMs),
    firing: state.firing,
    lastFiredMs: state.lastFiredBootMs === null ? null : Math.round(nowBootMs - state.lastFiredBootMs),
    passes: state.passes,
    failing: state.failing,
  });
}
