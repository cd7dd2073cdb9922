import type { Approval } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";
import type { NewRecord } from "../store/open-batch.ts";
import type { Action, OpenProposal } from "./action.ts";
import { Approvals, type GivenAnswer } from "./approvals.ts";
import type { Executor } from "./executor.ts";
import type { Proposer } from "./proposer.ts";
import { outcomeRecord, type Step } from "./steps.ts";

interface DeskLog {
  append(record: NewRecord): void;
  appendTogether(records: readonly NewRecord[]): void;
  count(agent: string, counter: string, n: number, wallMs: number): void;
  agentNumber(name: string): number;
}

interface Deps {
  readonly clock: Clock;
  readonly store: DeskLog;
  readonly newId: (wallMs: number) => string;
  readonly proposer: Proposer;
  readonly executor: Executor;
  readonly isApprover: (name: string) => boolean;
  readonly step: (action: Action, step: Step) => void;
  /** Resolves when all that was put into the log is on disk. */
  readonly durable: () => Promise<void>;
}

/** What came of a person's answer. */
export interface Answered {
  readonly accepted: boolean;
  readonly reason: string | undefined;
  readonly state: string;
  readonly given: number;
  readonly needs: number;
}

/** Where people are waited for: proposals that need a yes, and tasks that somebody has to take. */
export class Desk {
  readonly #deps: Deps;
  readonly #approvals: Approvals;
  readonly #handoffs = new Map<string, Action>();

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#approvals = new Approvals(deps);
  }

  proposals(): readonly OpenProposal[] {
    return this.#approvals.list();
  }

  wait(waiting: OpenProposal): void {
    this.#approvals.wait(waiting);
  }

  /** Tasks that wait for a person. */
  handoffs(): readonly Action[] {
    return [...this.#handoffs.values()];
  }

  /** A person takes a task: one that is there, and for them. */
  async take(id: string, by: string): Promise<"taken" | "gone" | "notFor"> {
    const action = this.#handoffs.get(id);
    if (action === undefined) return "gone";
    const { config } = action.plan;
    if (config.kind === "handoff" && config.to.length > 0 && !config.to.includes(by)) return "notFor";
    this.#handoffs.delete(id);
    this.#deps.step(action, { state: "acknowledged", reason: "taken", by, final: true });
    await this.#deps.durable();
    return "taken";
  }

  handOver(action: Action): void {
    this.#handoffs.set(action.id, action);
  }

  /** A person's answer to a proposal. Resolves when it, and the intent that it may have led to, are on disk. */
  async answer(given: GivenAnswer): Promise<Answered> {
    const approvals = this.#approvals;
    const weighed = approvals.weigh(given);
    if (weighed.kind === "refused") {
      this.#deps.store.append(this.#approval(given, "refused", weighed.reason));
      await this.#deps.durable();
      const open = this.proposals().find((one) => one.id === given.proposal);
      const counts = { given: open?.given.length ?? 0, needs: open?.proposal.needs ?? 0 };
      return {
        accepted: false,
        reason: weighed.reason,
        state: open === undefined ? "refused" : "awaitingApproval",
        ...counts,
      };
    }
    const { waiting } = weighed;
    const counts = { given: waiting.given.length, needs: waiting.proposal.needs ?? 1 };
    const record = this.#approval(given, given.decision, undefined);
    if (weighed.kind === "more") {
      this.#deps.store.append(record);
      await this.#deps.durable();
      return { accepted: true, reason: undefined, state: "awaitingApproval", ...counts };
    }
    approvals.close(waiting.id);
    if (weighed.kind === "rejected") {
      this.#close(waiting, [record], { state: "denied", reason: "rejected", by: given.by ?? "" });
      await this.#deps.durable();
      return { accepted: true, reason: undefined, state: "denied", ...counts };
    }
    const end = await this.#approved(waiting, record);
    return { accepted: true, ...end, ...counts };
  }

  /** Expired is denied. To be called now and then. */
  expire(): void {
    for (const waiting of this.#approvals.late()) {
      this.#approvals.close(waiting.id);
      const record = this.#approval(
        { proposal: waiting.id, by: undefined, decision: "rejected" },
        "expired",
        undefined,
      );
      this.#close(waiting, [record], { state: "denied", reason: "approvalExpired" });
    }
  }

  async #approved(waiting: OpenProposal, record: NewRecord): Promise<{ state: string; reason: string | undefined }> {
    const { proposer, executor } = this.#deps;
    const nowMs = this.#deps.clock.wallMs();
    const { judgement, verdict } = proposer.approved(waiting, nowMs);
    const { state, reason } = judgement;
    if (state !== "intended") {
      this.#close(waiting, [record], { state, ...(reason === undefined ? {} : { reason }) });
      await this.#deps.durable();
      return { state, reason };
    }
    const { action, record: intent } = proposer.intendApproved(waiting, verdict, nowMs);
    this.#deps.store.appendTogether([record, intent]);
    await this.#deps.durable();
    executor.start(action);
    return { state, reason: action.intent.dryRun === true ? "it was proposed as a dry run" : reason };
  }

  #close(waiting: OpenProposal, before: readonly NewRecord[], step: Step): void {
    const { store, clock, newId } = this.#deps;
    const action = { id: waiting.id, proposedBootMs: undefined, intent: waiting.proposal };
    const end = outcomeRecord(
      action,
      waiting.proposal.agent,
      { ...step, final: true },
      {
        clock,
        newId,
        agentNumber: (agent) => store.agentNumber(agent),
      },
    );
    store.appendTogether([...before, end]);
    store.count(waiting.proposal.agent, `action:${step.state}`, 1, clock.wallMs());
  }

  #approval(given: GivenAnswer, decision: Approval["decision"], reason: string | undefined): NewRecord {
    const { clock, newId } = this.#deps;
    const at = clock.wallMs();
    const body: Approval = {
      v: 1,
      kind: "approval",
      id: newId(at),
      proposal: given.proposal,
      decision,
      ...(given.by === undefined ? {} : { by: given.by }),
      ...(reason === undefined ? {} : { reason }),
      ...(given.signature === undefined ? {} : { signature: given.signature }),
      at,
    };
    return { stream: 0, kind: "approval", agent: 0, id: body.id, wallMs: at, body: JSON.stringify(body) };
  }
}
