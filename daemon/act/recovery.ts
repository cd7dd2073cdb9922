import { discontinuities, type StartReason } from "../../sync/kinds.ts";
import type { ActionState, Approval, Intent, Outcome, Proposal } from "../../sync/records.ts";
import type { RestoredAction } from "../store/messages.ts";

/** An action that an earlier start left open. */
export interface LeftOpen {
  readonly id: string;
  readonly proposal: Proposal | undefined;
  readonly intent: Intent | undefined;
  readonly lastState: ActionState | undefined;
  readonly attempt: number;
  readonly approvals: readonly Approval[];
}

/** What the log says of open actions can not be relied on (log.md, discontinuity). */
export function isDiscontinuous(reason: StartReason): boolean {
  return discontinuities.includes(reason);
}

export function readLeftOpen({ first, intent, last, approvals }: RestoredAction): LeftOpen {
  const body = JSON.parse(first) as Proposal | Intent;
  const outcome = last === undefined ? undefined : (JSON.parse(last) as Outcome);
  return {
    id: body.id,
    proposal: body.kind === "proposal" ? body : undefined,
    intent: intent === undefined ? undefined : (JSON.parse(intent) as Intent),
    lastState: outcome?.state,
    attempt: outcome?.attempt ?? 1,
    approvals: approvals.map((text) => JSON.parse(text) as Approval),
  };
}

export interface RecoveryFacts {
  readonly isDiscontinuous: boolean;
  readonly isSameBoot: boolean;
  /** The tool is still configured, and means what it meant. */
  readonly hasTool: boolean;
  /** It was permitted by the policy that is active now. */
  readonly isSamePolicy: boolean;
  readonly isHandoff: boolean;
  readonly isIdempotent: boolean;
  readonly hasReadback: boolean;
  readonly isDryRun: boolean;
  readonly lastState: ActionState | undefined;
}

export type Recovery =
  | { readonly kind: "close"; readonly state: ActionState; readonly reason: string }
  /** A task that waits for a person goes on waiting. */
  | { readonly kind: "keep" }
  /** The plant is asked; if it shows nothing: `otherwise`. */
  | { readonly kind: "ask"; readonly otherwise: "again" | "unknown" | "unverified" }
  | { readonly kind: "again" };

/**
 * What becomes of an intent without an end. What may have left and can not be told is unknown: a machine sends again
 * only what changes nothing when it is done twice, in the same boot, under the same policy, before execute-before.
 */
export function recover(facts: RecoveryFacts): Recovery {
  if (facts.isDiscontinuous) return unknown("the log does not go on where it ended");
  if (!facts.hasTool) return unknown("the tool is not there any more, or another one");
  if (facts.isDryRun) return { kind: "close", state: "dryRun", reason: "the tool was left out" };
  if (facts.isHandoff) return facts.lastState === undefined ? { kind: "again" } : { kind: "keep" };
  const mayAgain = facts.isIdempotent && facts.isSameBoot && facts.isSamePolicy;
  if (facts.lastState === "acknowledged")
    return facts.hasReadback
      ? { kind: "ask", otherwise: "unverified" }
      : { kind: "close", state: "acknowledged", reason: "its readback is not asked for any more" };
  if (facts.hasReadback) return { kind: "ask", otherwise: mayAgain ? "again" : "unknown" };
  return mayAgain ? { kind: "again" } : unknown("the daemon ended before it was known");
}

function unknown(reason: string): Recovery {
  return { kind: "close", state: "unknown", reason };
}
