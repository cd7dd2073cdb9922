import type { Approval, Intent, Outcome, Proposal } from "../../sync/records.ts";
import { PRIVATE, redact } from "../../sync/redact.ts";
import { millisecondOf } from "../ids.ts";
import type { RestoredAction } from "../store/messages.ts";

/** An action with all that the log says of it, as `holdfast actions --json` prints it. Times in ISO 8601. */
export interface ActionLine {
  /** The action's id: of its intent, or of the proposal that people were asked about. */
  readonly intent: string;
  readonly decision: string | null;
  readonly by: string | null;
  readonly agent: string;
  readonly key: string;
  readonly rule: string;
  readonly tool: string;
  readonly target: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly class: string;
  readonly verdict: { readonly effect: string; readonly rules: readonly string[] };
  readonly policy: string;
  readonly state: string;
  /** Nothing more comes. */
  readonly final: boolean;
  readonly reason: string | null;
  readonly proposedAt: string;
  readonly executeBefore: string;
  readonly approval: {
    readonly needs: number;
    readonly approveBefore: string | null;
    readonly answers: readonly { readonly by: string | null; readonly decision: string; readonly at: string }[];
  } | null;
  readonly verify: { readonly state: string; readonly readback?: unknown } | null;
  readonly latencyMs: number | null;
  readonly attempt: number;
  readonly dryRun: boolean;
  readonly idempotencyKey: string;
}

/** What the log's lines of one action say together. Values from private fields are not shown. */
export function actionLine({ first, intent, last, approvals }: RestoredAction): ActionLine {
  const made = JSON.parse(first) as Proposal | Intent;
  const proposal = made.kind === "proposal" ? made : undefined;
  const intended = intent === undefined ? undefined : (JSON.parse(intent) as Intent);
  const outcome = last === undefined ? undefined : (JSON.parse(last) as Outcome);
  const state = outcome?.state ?? (intended === undefined ? (proposal?.state ?? "intended") : "intended");
  const { executeBefore } = intended ?? made;
  return {
    intent: made.id,
    decision: made.decision ?? null,
    by: made.by ?? null,
    ...{ agent: made.agent, key: made.key, rule: made.rule, tool: made.tool, target: targetOf(made) },
    arguments: shownArguments(made),
    class: made.class,
    verdict: (intended ?? made).verdict,
    policy: made.policy,
    state,
    final: outcome?.final === true || (proposal !== undefined && proposal.state !== "awaitingApproval"),
    reason: outcome?.reason ?? (proposal === undefined ? undefined : redact(proposal).body.reason) ?? null,
    proposedAt: iso(millisecondOf(made.id)),
    executeBefore: iso(executeBefore.wallMs),
    approval: approvalOf(proposal, approvals),
    verify: verifyOf(state, outcome),
    latencyMs: outcome?.latencyMs ?? null,
    attempt: outcome?.attempt ?? 1,
    dryRun: made.dryRun === true,
    idempotencyKey: made.idempotencyKey,
  };
}

/** A target is made of arguments: with a private one in it, it is not shown either. */
function targetOf(made: Proposal | Intent): string {
  return (made.private ?? []).length > 0 && made.target !== "" ? PRIVATE : made.target;
}

function shownArguments(made: Proposal | Intent): Record<string, unknown> {
  const hidden = new Set(made.private ?? []);
  return Object.fromEntries(
    Object.entries(made.arguments).map(([name, value]) => [name, hidden.has(name) ? PRIVATE : value]),
  );
}

function approvalOf(proposal: Proposal | undefined, texts: readonly string[]): ActionLine["approval"] {
  if (proposal?.needs === undefined) return null;
  const answers = texts.map((text) => JSON.parse(text) as Approval);
  return {
    needs: proposal.needs,
    approveBefore: proposal.approveBefore === undefined ? null : iso(proposal.approveBefore.wallMs),
    answers: answers.map(({ by, decision, at }) => ({ by: by ?? null, decision, at: iso(at) })),
  };
}

function verifyOf(state: string, outcome: Outcome | undefined): ActionLine["verify"] {
  if (state !== "verified" && state !== "unverified") return null;
  return { state, ...(outcome?.readback === undefined ? {} : { readback: outcome.readback }) };
}

function iso(wallMs: number): string {
  return Number.isFinite(wallMs) && Math.abs(wallMs) < 8.64e15 ? new Date(wallMs).toISOString() : String(wallMs);
}
