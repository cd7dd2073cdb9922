import type { StartReason } from "../../sync/kinds.ts";
import type { Intent, Proposal } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";
import type { RestoredAction } from "../store/messages.ts";
import type { Action, OpenProposal } from "./action.ts";
import { bootDeadlineMs, isOfThisBoot } from "./deadline.ts";
import type { Readings } from "./readings.ts";
import { isDiscontinuous, type LeftOpen, type Recovery, readLeftOpen, recover } from "./recovery.ts";
import type { Step } from "./steps.ts";
import type { CommandBus } from "./tool.ts";
import { type ToolPlan, targetOf } from "./tool-plan.ts";

interface Deps {
  readonly clock: Clock;
  readonly plans: ReadonlyMap<string, ToolPlan>;
  readonly bus: Pick<CommandBus, "connected">;
  readonly readings: Readings;
  readonly signal: AbortSignal;
  readonly policyDigest: string;
}

/** What there is to say of an action that is over with the start. */
export interface Closed {
  readonly id: string;
  readonly made: Intent | Proposal;
}

/** What is done with what was left open. */
interface Ends {
  wait(waiting: OpenProposal): void;
  keep(action: Action): void;
  close(left: Closed, step: Step): void;
  /** Tried again: `attempt` is the number of the next try. */
  again(action: Action, attempt: number): void;
}

/** Goes through what an earlier start left open, and brings each to its end: by what the plant shows, where it can. */
export class Recoverer {
  readonly #deps: Deps;
  readonly #ends: Ends;
  /** Actions that are still open after the first look. */
  readonly openIds: string[] = [];

  constructor(deps: Deps, ends: Ends) {
    this.#deps = deps;
    this.#ends = ends;
  }

  run(restored: readonly RestoredAction[], reason: StartReason): void {
    for (const one of restored) {
      const left = readLeftOpen(one);
      if (left.intent === undefined) this.#proposal(left, reason);
      else this.#intent(left, reason);
    }
  }

  /** A proposal waits on, unless what it was made under is not there any more. */
  #proposal({ id, proposal, approvals }: LeftOpen, reason: StartReason): void {
    if (proposal === undefined) return;
    const { plans, policyDigest } = this.#deps;
    const plan = plans.get(proposal.tool);
    const deny = (why: string): void => this.#ends.close({ id, made: proposal }, { state: "denied", reason: why });
    if (isDiscontinuous(reason)) deny("the log does not go on where it ended: approvals are void");
    else if (plan === undefined) deny("the tool is not there any more");
    else if (!isSameTool(plan, proposal)) deny("the tool is another one now");
    else if (proposal.policy !== policyDigest.slice(0, 16)) deny("the policy is another one now");
    else {
      const given = approvals.flatMap(({ decision, by }) => (decision === "approved" && by !== undefined ? [by] : []));
      this.#ends.wait({ id, proposal, plan, given: [...new Set(given)], trace: undefined });
    }
  }

  #intent(left: LeftOpen, reason: StartReason): void {
    const { id, intent, lastState } = left;
    if (intent === undefined) return;
    const { clock, plans, policyDigest } = this.#deps;
    const configured = plans.get(intent.tool);
    const plan = configured !== undefined && isSameTool(configured, intent) ? configured : undefined;
    const recovery = recover({
      isDiscontinuous: isDiscontinuous(reason),
      isSameBoot: isOfThisBoot(intent.executeBefore, clock),
      hasTool: plan !== undefined,
      isSamePolicy: intent.policy === policyDigest.slice(0, 16),
      isHandoff: plan?.config.kind === "handoff",
      isIdempotent: plan?.config.idempotent === true,
      hasReadback: plan?.verify !== undefined,
      isDryRun: intent.dryRun === true,
      lastState,
    });
    if (recovery.kind === "close" || plan === undefined) {
      const { state, reason: why } = recovery as Extract<Recovery, { kind: "close" }>;
      this.#ends.close({ id, made: intent }, { state, reason: why });
      return;
    }
    this.openIds.push(id);
    const rebased = {
      ...intent,
      executeBefore: { ...intent.executeBefore, bootMs: bootDeadlineMs(intent.executeBefore, clock) },
    };
    const action: Action = { id, intent: rebased, plan, proposedBootMs: undefined, trace: undefined };
    if (recovery.kind === "keep") this.#ends.keep(action);
    else if (recovery.kind === "again") this.#ends.again(action, left.attempt + 1);
    else void this.#ask(action, left.attempt, recovery.otherwise);
  }

  /** The plant is asked once the bus is there: as long as the tool gives its readback. */
  async #ask(action: Action, attempt: number, otherwise: "again" | "unknown" | "unverified"): Promise<void> {
    const { bus, readings, signal } = this.#deps;
    const { intent, plan, id } = action;
    if (plan.verify === undefined) return;
    await bus.connected(signal);
    const shown = (await readings.shown(plan.verify, intent.arguments, plan.verify.withinMs, signal)) as
      | { readonly payload: unknown }
      | undefined;
    const ended = { id, made: intent };
    if (shown !== undefined)
      this.#ends.close(ended, {
        state: "verified",
        reason: "the plant shows it after a restart",
        readback: shown.payload,
      });
    else if (signal.aborted) return;
    else if (otherwise === "again") this.#ends.again(action, attempt + 1);
    else
      this.#ends.close(ended, {
        state: otherwise,
        reason: "the daemon ended before it was known, and the plant does not show it",
      });
  }
}

/** What was written down still means the same: no argument is missing, it is about the same, and weighs the same. */
function isSameTool(plan: ToolPlan, made: Intent | Proposal): boolean {
  return plan.class === made.class && targetOf(plan, made.arguments) === made.target;
}
