import type { Intent, Proposal } from "../../sync/records.ts";
import type { Arguments } from "./tool.ts";
import type { ToolPlan } from "./tool-plan.ts";

/** What a rule, a fallback or a person wants done, before anybody judged it. */
export interface Proposed {
  readonly rule: string;
  /** Its place in the rule's list. */
  readonly index: number;
  readonly tool: string;
  readonly arguments: Arguments;
  /** Names of arguments made from private fields. */
  readonly private: readonly string[];
  /** Why an argument has no value. */
  readonly failure?: string | undefined;
}

/** An action with an intent on its way to the disk, or there. */
export interface Action {
  readonly id: string;
  readonly intent: Intent;
  readonly plan: ToolPlan;
  /** When it was proposed, on this boot's clock; undefined after a restart. */
  readonly proposedBootMs: number | undefined;
  readonly trace: string | undefined;
}

/** A proposal that waits for people. */
export interface OpenProposal {
  readonly id: string;
  readonly proposal: Proposal;
  readonly plan: ToolPlan;
  /** Who has said yes so far. */
  readonly given: readonly string[];
  readonly trace: string | undefined;
}
