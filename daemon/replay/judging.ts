import type { ToolConfig } from "../../config/tools.ts";
import type { ActionClass, Decision, Intent, PolicyEffect, Proposal } from "../../sync/records.ts";
import { withoutPrivateQuotes } from "../../sync/redact.ts";
import type { Proposed } from "../act/action.ts";
import { fillText, fillTopic } from "../act/template.ts";
import type { Arguments } from "../act/tool.ts";
import type { JudgedAction, Policy, PolicyContext, PolicyVerdict } from "../guard.ts";

/** An action as the log has it: refused, waiting, or meant to be done. */
export type RecordedAction = Proposal | Intent;

/** A policy with the tools that it speaks of. */
export interface Law {
  readonly policy: Policy | undefined;
  readonly tools: Readonly<Record<string, ToolConfig>>;
}

/** An action with what a policy says of it. */
export interface Judged {
  readonly action: Proposed;
  readonly effect: PolicyEffect;
  readonly rules: readonly string[];
  readonly errors: PolicyVerdict["errors"];
  /** It was written down; else nothing was proposed then, and it is worked out from the rule that fired. */
  readonly isRecorded: boolean;
}

/** What becomes of an action: the same for a forbid and for no permit. */
export type Outcome = "permit" | "requireApproval" | "refuse";

export function outcomeOf(effect: PolicyEffect): Outcome {
  return effect === "forbid" || effect === "deny" ? "refuse" : effect;
}

/** What the decision saw, as policies see it. */
export function contextOf(decision: Decision, hasFeatures: boolean): PolicyContext {
  return {
    key: decision.key,
    eventId: decision.eventId,
    timeMs: decision.eventTime,
    fields: decision.fields ?? (hasFeatures ? {} : decision.inputs),
    features: hasFeatures ? decision.inputs : {},
    answer: decision.answer ?? {},
  };
}

/** Who proposes: an agent, or a person. */
export type Proposer = Pick<JudgedAction, "agent" | "by">;

/** What a policy is asked about. */
export interface Question {
  readonly proposer: Proposer;
  readonly context: PolicyContext;
  readonly nowMs: number;
  /** Private fields are in it, and why a condition has no value may quote one. */
  readonly hidesReasons: boolean;
}

export function judge(action: Proposed, { proposer, context, nowMs, hidesReasons }: Question, law: Law): Judged {
  const verdict = law.policy?.judge(judgedAction(action, proposer, law.tools), context, nowMs) ?? UNREADABLE;
  const { effect, rules, errors } = verdict;
  const told = hidesReasons
    ? errors.map(({ rule, reason }) => ({ rule, reason: withoutPrivateQuotes(reason) }))
    : errors;
  return { action, effect, rules, errors: told, isRecorded: false };
}

/** A policy that can not be read permits nothing. */
const UNREADABLE: PolicyVerdict = { effect: "deny", rules: [], errors: [] };

/** An action with the verdict that stands in the log. */
export function judgedThen(action: Proposed, recorded: RecordedAction): Judged {
  const { effect, rules } = recorded.verdict;
  return { action, effect, rules, errors: [], isRecorded: true };
}

/**
 * Whether the policy of then, asked again, says what it said: it may have seen what the log does not have, and another
 * policy can not be asked about that either.
 */
export function isToldAgain(then: Judged, question: Question, law: Law): boolean {
  return !then.isRecorded || law.policy === undefined || judge(then.action, question, law).effect === then.effect;
}

export function actionOf(recorded: RecordedAction): Proposed {
  const { rule, tool, arguments: given } = recorded;
  return { rule, index: 0, tool, arguments: given, private: recorded.private ?? [] };
}

function judgedAction(action: Proposed, { agent, by }: Proposer, tools: Law["tools"]): JudgedAction {
  const { tool, arguments: given, rule } = action;
  const config = tools[tool];
  return {
    tool,
    class: config?.class ?? ("consequential" satisfies ActionClass),
    target: config === undefined ? "" : targetOf(config, given),
    arguments: given,
    safeDirection: config?.safeDirection ?? false,
    idempotent: config?.idempotent ?? false,
    agent,
    rule,
    by,
  };
}

function targetOf(config: ToolConfig, given: Arguments): string {
  try {
    if (config.target !== undefined) return fillText(config.target, given);
    return config.kind === "mqtt" ? (fillTopic(config.topic, given) ?? "") : "";
  } catch {
    // An argument that a template names is missing: the action has no target, and the daemon would refuse it.
    return "";
  }
}
