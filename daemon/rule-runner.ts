import type { RuleConfig } from "../config/agents.ts";
import type { RuleLine } from "./body.ts";
import { asksClear, type RuleState, type RuleStep, type RuleTiming, stepRule } from "./decide.ts";
import { NEVER_FIRED_SECONDS } from "./expression-names.ts";
import { type Expression, ExpressionFailure, type Expressions } from "./expressions.ts";

/** A rule of an agent with its conditions compiled. */
export interface CompiledRule {
  readonly config: Pick<RuleConfig, "id" | "forSeconds" | "cooldownSeconds">;
  readonly when: Expression;
  readonly clearWhen: Expression | undefined;
}

/** One rule: asks its conditions and words what came of it. */
export class RuleRunner {
  readonly id: string;
  readonly conditionFalse: RuleLine;
  readonly #rule: CompiledRule;
  readonly #timing: RuleTiming;
  readonly #readsState: boolean;
  readonly #cleared: RuleLine;
  readonly #firing: RuleLine;
  readonly #fired: RuleLine;
  #lastWorded: RuleLine;
  #failure = "";

  constructor(rule: CompiledRule) {
    const { id, forSeconds, cooldownSeconds } = rule.config;
    this.id = id;
    this.#rule = rule;
    const reads = (path: string) => rule.when.reads.has(path) || rule.clearWhen?.reads.has(path) === true;
    this.#readsState = reads("state");
    this.#timing = {
      forMs: forSeconds * 1000,
      cooldownMs: cooldownSeconds * 1000,
      hasClear: rule.clearWhen !== undefined,
      keepsLastFired: reads("state.sinceLastFired"),
      countsPasses: reads("state.passes"),
    };
    const line = (why: string, fired = false): RuleLine => ({ id, fired, why });
    this.conditionFalse = line("condition false");
    this.#cleared = line("cleared");
    this.#firing = line("still firing");
    this.#fired = line("fired", true);
    this.#lastWorded = line("");
  }

  step(expressions: Expressions, state: RuleState, nowBootMs: number): RuleStep {
    if (this.#readsState) {
      const { lastFiredBootMs, firing, passes } = state;
      const sinceLastFiredSeconds =
        lastFiredBootMs === null ? NEVER_FIRED_SECONDS : (nowBootMs - lastFiredBootMs) / 1000;
      expressions.bindState({ sinceLastFiredSeconds, firing, passes });
    }
    const { when, clearWhen } = this.#rule;
    const asked = clearWhen !== undefined && asksClear(this.#timing, state) ? clearWhen : when;
    const answer = asked.test();
    if (!(answer instanceof ExpressionFailure)) return stepRule(this.#timing, state, answer, nowBootMs);
    this.#failure = answer.message;
    return stepRule(this.#timing, state, undefined, nowBootMs);
  }

  line(step: RuleStep): RuleLine {
    switch (step.kind) {
      case "quiet":
        return this.conditionFalse;
      case "cleared":
        return this.#cleared;
      case "firing":
        return this.#firing;
      case "fired":
        return this.#fired;
      case "holding":
        return this.#worded(`holding ${tenths(step.heldMs)} of ${tenths(this.#timing.forMs)} s`);
      case "cooling":
        return this.#worded(`cooldown ${Math.ceil(step.leftMs / 1000)} s left`);
      case "failed":
        return this.#worded(`error: ${this.#failure}`);
    }
  }

  /** The same words come again and again; lines are told apart by identity where they are written. */
  #worded(why: string): RuleLine {
    if (this.#lastWorded.why !== why) this.#lastWorded = { id: this.id, fired: false, why };
    return this.#lastWorded;
  }
}

function tenths(ms: number): string {
  return `${Math.floor(ms / 100) / 10}`;
}
