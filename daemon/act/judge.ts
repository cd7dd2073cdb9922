import type { Mode } from "../../config/gateway.ts";
import type { ActionClass } from "../../sync/records.ts";
import type { PolicyVerdict } from "../guard.ts";

/** What decides whether an action is done, asked at the moment of judging. */
export interface Facts {
  readonly class: ActionClass;
  readonly safeDirection: boolean;
  readonly isLatched: boolean;
  readonly verdict: PolicyVerdict;
  readonly mode: Mode;
  readonly off: "agentOff" | "toolOff" | undefined;
  /** Interlocks and limits, asked only when everything before them says yes. */
  readonly limits: () => string | undefined;
  /** People have said yes already. */
  readonly isApproved: boolean;
}

export interface Judgement {
  readonly state: "intended" | "awaitingApproval" | "denied" | "suppressed" | "limited";
  readonly reason: string | undefined;
  /** How many different people have to say yes; 0: nobody. */
  readonly needs: number;
}

/**
 * The order of strength: latch, then what the policy forbids or does not permit, then mode and switches, then
 * interlocks and limits, then approval. Notifications pass the latch; the safe direction waives the approval alone.
 */
export function judge(facts: Facts): Judgement {
  const isNotify = facts.class === "notify";
  if (facts.isLatched && !isNotify) return refused("suppressed", "latched");
  const { effect } = facts.verdict;
  if (effect === "forbid") return refused("denied", forbiddenBy(facts.verdict));
  if (effect === "deny") return refused("denied", "notPermitted");
  if (facts.off !== undefined) return refused("suppressed", facts.off);
  if (facts.mode === "observe") return refused("suppressed", "observe");
  const limited = facts.limits();
  if (limited !== undefined) return refused("limited", limited);
  const needs = facts.isApproved ? 0 : needed(facts, effect === "requireApproval");
  return { state: needs > 0 ? "awaitingApproval" : "intended", reason: undefined, needs };
}

/** A forbid that could not be asked forbids, and says so: its author has to look at it. */
function forbiddenBy({ errors }: PolicyVerdict): string {
  return errors.length === 0 ? "forbidden" : `forbidden: no answer of ${errors.map(({ rule }) => rule).join(", ")}`;
}

function needed(facts: Facts, isAsked: boolean): number {
  if (facts.safeDirection) return 0;
  if (facts.class === "critical") return 2;
  if (facts.class === "notify") return isAsked ? 1 : 0;
  return isAsked || facts.mode === "approve" ? 1 : 0;
}

function refused(state: Judgement["state"], reason: string): Judgement {
  return { state, reason, needs: 0 };
}
