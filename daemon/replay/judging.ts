import type { ToolConfig } from "../../config/tools.ts";
import type { ActionClass, Decision, Intent, PolicyEffect, Proposal } from "../../sync/records.ts";
import { fillText, fillTopic } from "../act/template.ts";
import type { Arguments } from "../act/tool.ts";
import type { JudgedAction, Policy, PolicyContext, PolicyVerdict } from "../guard.ts";
import type { ProposedAction } from "./rule-actions.ts";

/** An action as the log has it: refused, waiting, or meant to be done. */
export type RecordedAction = Proposal | Intent;

/** A policy with the tools that it speaks of. */
export interface Law {
  readonly policy: Policy | undefined;
  readonly tools: Readonly<Record<string, ToolConfig>>;
}

/** An action with what a policy says of it. */
export interface Judged {
  readonly action: ProposedAction;
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

export function judge(action: ProposedAction, agent: string, context: PolicyContext, law: Law, nowMs: number): Judged {
  const verdict = law.policy?.judge(judgedAction(action, agent, law.tools), context, nowMs) ?? UNREADABLE;
  const { effect, rules, errors } = verdict;
  return { action, effect, rules, errors, isRecorded: false };
}

/** A policy that can not be read permits nothing. */
const UNREADABLE: PolicyVerdict = { effect: "deny", rules: [], errors: [] };

/** An action with the verdict that stands in the log. */
export function judgedThen(action: ProposedAction, recorded: RecordedAction): Judged {
  const { effect, rules } = recorded.verdict;
  return { action, effect, rules, errors: [], isRecorded: true };
}

function judgedAction(action: ProposedAction, agent: string, tools: Law["tools"]): JudgedAction {
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
    by: "",
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
