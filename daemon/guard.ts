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
  /** Ids of all rules that matched, in the order of the file. A forbid whose condition erred counts as matched. */
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
