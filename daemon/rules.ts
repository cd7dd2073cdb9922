import type { Answer } from "../models/inference.ts";
import type { RuleLine } from "./body.ts";
import type { Clock } from "./clock.ts";
import { RESTING, type RuleState } from "./decide.ts";
import { Edges } from "./edges.ts";
import type { PassValues } from "./expression-names.ts";
import type { Expressions } from "./expressions.ts";
import { restoreRuleState, saveRuleState } from "./rule-memory.ts";
import { type CompiledRule, RuleRunner } from "./rule-runner.ts";
import { shownState } from "./rule-shown.ts";

/** Where what rules remember is kept, in the transaction of the decision that changed it; null: nothing any more. */
export type KeepRuleState = (key: string, rule: string, state: string | null) => void;

export interface RulesDeps {
  readonly clock: Clock;
  readonly keep: KeepRuleState;
}

export interface Verdict {
  readonly rules: readonly RuleLine[];
  readonly fired: boolean;
  readonly stateBefore: string;
  readonly changed: boolean;
}

/** Under these names edges without a rule are kept; no rule can be called like this. */
export const FALLBACK_EDGE = "@fallback";

const ON = '{"v":1}';

/** The rules of an agent with what they remember, key by key. Keys with nothing to remember take no memory. */
export class Rules {
  readonly #rules: readonly RuleRunner[];
  readonly #expressions: Expressions;
  readonly #deps: RulesDeps;
  readonly #maxKeys: number;
  readonly #states = new Map<string, RuleState[]>();
  readonly #unanswered = new Edges();
  readonly #quiet: Verdict;

  constructor(rules: readonly CompiledRule[], expressions: Expressions, maxKeys: number, deps: RulesDeps) {
    this.#rules = rules.map((rule) => new RuleRunner(rule));
    this.#expressions = expressions;
    this.#maxKeys = maxKeys;
    this.#deps = deps;
    this.#quiet = {
      rules: this.#rules.map((one) => one.conditionFalse),
      fired: false,
      stateBefore: "",
      changed: false,
    };
  }

  /** The verdict on one pass. Mostly nothing holds and nothing is remembered: then all of it is shared. */
  evaluate(pass: PassValues, answer: Answer, nowMs: number): Verdict {
    const { key } = pass;
    const nowBootMs = this.#deps.clock.bootMs();
    const before = this.#states.get(key);
    this.#expressions.bind(pass, answer, nowMs);
    let after: RuleState[] | undefined;
    let lines: RuleLine[] | undefined;
    let fired = false;
    for (let at = 0; at < this.#rules.length; at++) {
      const rule = this.#rules[at] as RuleRunner;
      const state = before?.[at] ?? RESTING;
      const step = rule.step(this.#expressions, state, nowBootMs);
      if (step.kind === "quiet" && lines === undefined && step.state === state) continue;
      lines ??= this.#quiet.rules.slice(0, this.#rules.length);
      lines[at] = rule.line(step);
      if (step.kind === "fired") fired = true;
      if (step.state === state) continue;
      after ??= before?.slice() ?? this.#rules.map(() => RESTING);
      after[at] = step.state;
    }
    if (lines === undefined && before === undefined) return this.#quiet;
    const stateBefore = before === undefined ? "" : this.#stateText(before, nowBootMs);
    const changed = after !== undefined && this.#remember(key, before, after);
    return { rules: lines ?? this.#quiet.rules, fired, stateBefore, changed };
  }

  fallbackBegins(key: string): boolean {
    if (!this.#unanswered.begins(key)) return false;
    this.#deps.keep(key, FALLBACK_EDGE, ON);
    return true;
  }

  fallbackEnds(key: string): boolean {
    if (!this.#unanswered.ends(key)) return false;
    this.#deps.keep(key, FALLBACK_EDGE, null);
    return true;
  }

  /** What was kept before a restart. States of rules that are no more are let go. */
  restore(key: string, rule: string, state: string): void {
    if (rule === FALLBACK_EDGE) {
      this.#unanswered.begins(key);
      return;
    }
    const at = this.#rules.findIndex((one) => one.id === rule);
    if (at < 0) {
      this.#deps.keep(key, rule, null);
      return;
    }
    const states = this.#states.get(key) ?? this.#rules.map(() => RESTING);
    states[at] = restoreRuleState(state, this.#deps.clock);
    this.#states.set(key, states);
  }

  /** The key was evicted: its rules start from nothing when it comes again. */
  forget(key: string): void {
    const states = this.#states.get(key);
    this.#states.delete(key);
    for (const [at, rule] of this.#rules.entries()) {
      if (states !== undefined && states[at] !== RESTING) this.#deps.keep(key, rule.id, null);
    }
    if (this.#unanswered.ends(key)) this.#deps.keep(key, FALLBACK_EDGE, null);
  }

  /** Keys that have something to remember. */
  get keys(): number {
    return this.#states.size;
  }

  #remember(key: string, before: readonly RuleState[] | undefined, after: RuleState[]): boolean {
    const { clock, keep } = this.#deps;
    let isNews = false;
    let isResting = true;
    for (const [at, rule] of this.#rules.entries()) {
      const state = after[at] as RuleState;
      const old = before?.[at] ?? RESTING;
      if (state !== RESTING) isResting = false;
      if (state === old) continue;
      if (
        state.firing !== old.firing ||
        state.failing !== old.failing ||
        (state.sinceBootMs === null) !== (old.sinceBootMs === null)
      )
        isNews = true;
      keep(key, rule.id, saveRuleState(state, clock));
    }
    if (isResting) this.#states.delete(key);
    else this.#states.set(key, after);
    if (this.#states.size > this.#maxKeys) this.#forgetOldest();
    return isNews;
  }

  #forgetOldest(): void {
    for (const key of this.#states.keys()) {
      this.forget(key);
      return;
    }
  }

  #stateText(states: readonly RuleState[], nowBootMs: number): string {
    const parts = this.#rules.flatMap((rule, at) => {
      const state = states[at] ?? RESTING;
      return state === RESTING ? [] : [`${JSON.stringify(rule.id)}:${JSON.stringify(shownState(state, nowBootMs))}`];
    });
    return parts.length === 0 ? "" : `{${parts.join(",")}}`;
  }
}
