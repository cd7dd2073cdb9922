import type { Mode } from "../../config/gateway.ts";
import { proposalHash } from "../../sync/approval-text.ts";
import type { Deadline, Intent, Proposal } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";
import type { JudgedAction, Policy, PolicyContext, PolicyVerdict } from "../guard.ts";
import type { NewRecord } from "../store/open-batch.ts";
import type { Action, OpenProposal, Proposed } from "./action.ts";
import type { Breakers } from "./breakers.ts";
import { deadlineIn } from "./deadline.ts";
import type { Exclusion } from "./exclusion.ts";
import { type Judgement, judge } from "./judge.ts";
import type { Limits } from "./limits.ts";
import type { Readings } from "./readings.ts";
import type { ToolPlan } from "./tool-plan.ts";
import { targetOf } from "./tool-plan.ts";

/** What people have set. */
export interface ModeView {
  effective(agent: string, tool: string): Mode;
  isOff(agent: string, tool: string): "agentOff" | "toolOff" | undefined;
}

export interface ProposerDeps {
  readonly clock: Clock;
  readonly newId: (wallMs: number) => string;
  readonly agentNumber: (agent: string) => number;
  readonly policy: Policy;
  /** The gateway's name: a yes is for one gateway. */
  readonly gateway: string;
  readonly modes: ModeView;
  readonly isLatched: () => boolean;
  /** No intent can be written down: the disk is full. */
  readonly isFull: () => boolean;
  /** But for a few that lead to the safe state. */
  readonly hasReserve: () => boolean;
  readonly limits: Limits;
  readonly breakers: Breakers;
  readonly exclusion: Exclusion;
  readonly readings: Readings;
}

/** Who wants it, and what they saw. */
export interface Origin {
  /** Undefined where a person wants it. */
  readonly decision: string | undefined;
  readonly by: string | undefined;
  readonly agent: string;
  readonly key: string;
  readonly context: PolicyContext;
  /** Names in the context that are never shown outside. */
  readonly private: readonly string[];
  readonly trace: string | undefined;
  readonly nowMs: number;
}

/** What became of proposals: lines for the log, and what is to go on when they are on disk. */
export interface Judged {
  readonly records: NewRecord[];
  readonly actions: Action[];
  readonly waiting: OpenProposal[];
}

const MOST_ARGUMENT_CHARS = 8192;

/** Judges what is proposed, and writes down what became of it. Takes limits for what is intended. */
export class Proposer {
  readonly #deps: ProposerDeps;
  readonly #plans: ReadonlyMap<string, ToolPlan>;

  constructor(deps: ProposerDeps, plans: ReadonlyMap<string, ToolPlan>) {
    this.#deps = deps;
    this.#plans = plans;
  }

  /** While everything observes, nothing is proposed. */
  isObserving(agent: string, tool: string): boolean {
    return this.#deps.modes.effective(agent, tool) === "observe";
  }

  propose(origin: Origin, all: readonly Proposed[]): Judged {
    const judged: Judged = { records: [], actions: [], waiting: [] };
    for (const proposed of all) {
      const plan = this.#plans.get(proposed.tool);
      if (plan === undefined || this.isObserving(origin.agent, proposed.tool)) continue;
      this.#one(origin, proposed, plan, judged);
    }
    return judged;
  }

  /** Asked again when the last yes came. */
  approved(waiting: OpenProposal, nowMs: number): { judgement: Judgement; verdict: PolicyVerdict } {
    const { proposal, plan } = waiting;
    const action = {
      ...proposal,
      by: proposal.by ?? "",
      safeDirection: plan.config.safeDirection,
      idempotent: plan.config.idempotent,
    };
    const verdict = this.#deps.policy.judge(action, proposal.context as unknown as PolicyContext, nowMs);
    const judgement = this.#judge(action, plan, verdict, { isApproved: true, isDry: proposal.dryRun === true });
    return { judgement, verdict };
  }

  /** The intent of a proposal that people said yes to. Takes its limits. */
  intendApproved(waiting: OpenProposal, verdict: PolicyVerdict, nowMs: number): { action: Action; record: NewRecord } {
    const { proposal, plan, trace, id } = waiting;
    const { state: _s, reason: _r, approveBefore: _a, needs: _n, hash: _h, context: _c, ...same } = proposal;
    const intent: Intent = {
      ...same,
      kind: "intent",
      id: this.#deps.newId(nowMs),
      proposal: id,
      verdict: { effect: verdict.effect, rules: [...verdict.rules] },
      executeBefore: this.#deadline(plan.executeWithinMs, nowMs),
    };
    this.#take(plan, intent, id);
    const action = { id, intent, plan, proposedBootMs: this.#deps.clock.bootMs(), trace };
    return { action, record: this.#record(intent, proposal.agent, nowMs) };
  }

  #one(origin: Origin, proposed: Proposed, plan: ToolPlan, judged: Judged): void {
    const { policy, newId } = this.#deps;
    const { nowMs, agent, key, decision, by } = origin;
    const target = proposed.failure === undefined ? targetOf(plan, proposed.arguments) : undefined;
    const action: JudgedAction = {
      tool: plan.name,
      class: plan.class,
      target: target ?? "",
      arguments: proposed.arguments,
      safeDirection: plan.config.safeDirection,
      idempotent: plan.config.idempotent,
      agent,
      rule: proposed.rule,
      by: by ?? "",
    };
    const verdict = policy.judge(action, origin.context, nowMs);
    const isDry = this.#deps.modes.effective(agent, plan.name) === "dryRun";
    const id = newId(nowMs);
    const body = {
      v: 1 as const,
      id,
      ...(decision === undefined ? {} : { decision }),
      ...(by === undefined ? {} : { by }),
      agent,
      key,
      rule: proposed.rule,
      tool: plan.name,
      target: target ?? "",
      arguments: { ...proposed.arguments },
      ...(proposed.private.length === 0 ? {} : { private: [...proposed.private] }),
      class: plan.class,
      verdict: { effect: verdict.effect, rules: [...verdict.rules] },
      policy: policy.digest.slice(0, 16),
      executeBefore: this.#deadline(plan.executeWithinMs, nowMs),
      // A person's action is one of its kind; a rule's is told by what made it.
      idempotencyKey: decision === undefined ? id : `${decision}/${proposed.rule}/${proposed.index}`,
      ...(isDry ? { dryRun: true as const } : {}),
    };
    const broken = brokenArguments(proposed, plan, target);
    const judgement: Judgement =
      broken === undefined
        ? this.#judge(action, plan, verdict, { isApproved: false, isDry })
        : { state: "denied", reason: broken, needs: 0 };
    if (judgement.state === "intended") {
      const intent: Intent = { ...body, kind: "intent" };
      this.#take(plan, intent, id);
      judged.records.push(this.#record(intent, agent, nowMs));
      judged.actions.push({ id, intent, plan, proposedBootMs: this.#deps.clock.bootMs(), trace: origin.trace });
      return;
    }
    const proposal = this.#proposal(body, judgement, origin, plan);
    judged.records.push(this.#record(proposal, agent, nowMs));
    if (judgement.state === "awaitingApproval")
      judged.waiting.push({ id, proposal, plan, given: [], trace: origin.trace });
  }

  #proposal(body: Omit<Intent, "kind" | "proposal">, judgement: Judgement, origin: Origin, plan: ToolPlan): Proposal {
    const { state, reason, needs } = judgement;
    const common = { ...body, kind: "proposal" as const, state: state as Proposal["state"] };
    if (state !== "awaitingApproval") return { ...common, ...(reason === undefined ? {} : { reason }) };
    const approveBefore = this.#deadline(plan.approveWithinMs, origin.nowMs);
    const executeBefore = this.#deadline(plan.approveWithinMs + plan.executeWithinMs, origin.nowMs);
    const whole = { ...common, executeBefore, approveBefore, needs, context: { ...origin.context } };
    const hidden = [...new Set([...(common.private ?? []), ...origin.private])];
    return {
      ...whole,
      ...(hidden.length === 0 ? {} : { private: hidden }),
      hash: hashOf(whole, this.#deps.gateway),
    };
  }

  #judge(
    action: JudgedAction,
    plan: ToolPlan,
    verdict: PolicyVerdict,
    how: { readonly isApproved: boolean; readonly isDry: boolean },
  ): Judgement {
    const { modes, isLatched, limits, breakers, exclusion, readings, isFull, hasReserve } = this.#deps;
    return judge({
      class: plan.class,
      safeDirection: plan.config.safeDirection,
      isLatched: plan.class !== "notify" && isLatched(),
      verdict,
      mode: modes.effective(action.agent, plan.name),
      off: modes.isOff(action.agent, plan.name),
      isApproved: how.isApproved,
      limits: () =>
        (isFull() && !(plan.config.safeDirection && hasReserve()) ? "storeFull" : undefined) ??
        readings.refusal(plan, action.arguments) ??
        exclusion.refusal(plan, action.target) ??
        breakers.refusal(plan) ??
        limits.refusal({ plan, target: action.target, isDry: how.isDry }),
    });
  }

  #take(plan: ToolPlan, intent: Intent, id: string): void {
    const isDry = intent.dryRun === true;
    this.#deps.limits.take({ plan, target: intent.target, isDry });
    if (isDry) return;
    this.#deps.breakers.take(plan);
    this.#deps.exclusion.take(plan, intent.target, id);
  }

  #deadline(withinMs: number, nowMs: number): Deadline {
    return deadlineIn(withinMs, nowMs, this.#deps.clock);
  }

  #record(body: Proposal | Intent, agent: string, nowMs: number): NewRecord {
    const number = this.#deps.agentNumber(agent);
    return { stream: 1, kind: body.kind, agent: number, id: body.id, wallMs: nowMs, body: JSON.stringify(body) };
  }
}

function brokenArguments(proposed: Proposed, plan: ToolPlan, target: string | undefined): string | undefined {
  if (proposed.failure !== undefined) return `argument: ${proposed.failure}`;
  const missing = plan.needs.find((name) => !Object.hasOwn(proposed.arguments, name));
  if (missing !== undefined) return `argument: ${missing} is missing`;
  if (target === undefined) return "argument: it does not fit a level of the topic";
  const chars = Object.values(proposed.arguments).reduce<number>((sum, one) => sum + String(one).length, 0);
  return chars > MOST_ARGUMENT_CHARS ? `argument: more than ${MOST_ARGUMENT_CHARS} characters` : undefined;
}

/** What a yes is given to: it fits no other action, and not this one with other arguments. */
function hashOf(proposal: Omit<Proposal, "hash">, gateway: string): string {
  const { id, agent, key, rule, tool, policy, arguments: given, executeBefore, approveBefore } = proposal;
  return proposalHash({
    ...{ proposal: id, gateway, policy, tool, arguments: given, agent, key, rule },
    approveBefore: approveBefore?.wallMs ?? 0,
    executeBefore: executeBefore.wallMs,
  });
}
