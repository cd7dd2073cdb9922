import type { ActionClass, PolicyEffect } from "../sync/records.ts";
import type { Arguments } from "./act/tool.ts";

/** An action as the policy sees it. */
export interface JudgedAction {
  readonly tool: string;
  readonly class: ActionClass;
  readonly target: string;
  readonly arguments: Arguments;
  readonly safeDirection: boolean;
  readonly idempotent: boolean;
  /** Empty where a person proposes it. */
  readonly agent: string;
  readonly rule: string;
  /** The person who proposes it; empty where a rule does. */
  readonly by: string;
}

type Values = Readonly<Record<string, unknown>>;

/** What the decision saw. Kept with a proposal, so that the policy can be asked again when a yes comes. */
export interface PolicyContext {
  readonly key: string;
  readonly eventId?: string | undefined;
  readonly timeMs: number;
  readonly fields: Values;
  readonly features: Values;
  readonly answer: Values;
}

export interface PolicyVerdict {
  readonly effect: PolicyEffect;
  /** Ids of all rules that matched, in the order of the file. One that erred counts as matched, unless it permits. */
  readonly rules: readonly string[];
  /** Rules whose condition could not be evaluated, with the reason. */
  readonly errors: readonly { readonly rule: string; readonly reason: string }[];
}

/** A compiled policy. */
export interface Policy {
  /** SHA-256 over the rules, in hex. */
  readonly digest: string;
  judge(action: JudgedAction, context: PolicyContext, nowMs: number): PolicyVerdict;
}

/** What came of one rule that is about the action. */
export interface RuleOutcome {
  readonly rule: string;
  readonly effect: Exclude<PolicyEffect, "deny">;
  /** Its condition held, did not, or could not be evaluated. */
  readonly outcome: boolean | "error";
  readonly reason?: string;
}

/** Which of two effects wins. */
export const STRENGTH: Readonly<Record<PolicyEffect, number>> = { deny: 0, permit: 1, requireApproval: 2, forbid: 3 };

/**
 * What a policy says, from what came of its rules, in the order of the file: the strongest that matched, whatever the
 * order. A rule that can not be evaluated counts where it restricts, and not where it permits.
 */
export function verdictOf(outcomes: readonly RuleOutcome[], actionClass: ActionClass): PolicyVerdict {
  let effect: PolicyEffect = actionClass === "notify" ? "permit" : "deny";
  const rules: string[] = [];
  const errors: { rule: string; reason: string }[] = [];
  for (const one of outcomes) {
    if (one.outcome === "error") errors.push({ rule: one.rule, reason: one.reason ?? "it can not be evaluated" });
    const matched = one.outcome === "error" ? one.effect !== "permit" : one.outcome;
    if (!matched) continue;
    rules.push(one.rule);
    if (STRENGTH[one.effect] > STRENGTH[effect]) effect = one.effect;
  }
  return { effect, rules, errors };
}
