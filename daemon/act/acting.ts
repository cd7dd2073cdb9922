import type { Approval } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";
import type { Policy } from "../guard.ts";
import type { Log } from "../log.ts";
import { topicMatches } from "../sources/topics.ts";
import type { EpochInfo, RestoredActions } from "../store/messages.ts";
import type { NewRecord } from "../store/open-batch.ts";
import type { Action, OpenProposal, Proposed } from "./action.ts";
import { Approvals, type GivenAnswer } from "./approvals.ts";
import { Breakers } from "./breakers.ts";
import { Exclusion } from "./exclusion.ts";
import { Executor } from "./executor.ts";
import { Limits } from "./limits.ts";
import { type Judged, type ModeView, type Origin, Proposer } from "./proposer.ts";
import { Readings } from "./readings.ts";
import { Recoverer } from "./recoverer.ts";
import { outcomeRecord, type Step } from "./steps.ts";
import { filterOf } from "./template.ts";
import type { Arguments, BusReading, CommandBus, Tool } from "./tool.ts";
import type { ToolPlan } from "./tool-plan.ts";

/** What acting needs of the log. */
export interface ActLog {
  append(record: NewRecord): void;
  appendTogether(records: readonly NewRecord[]): void;
  project(change: { readonly kind: "limit"; readonly scope: string; readonly state: string | null }): void;
  count(agent: string, counter: string, n: number, wallMs: number): void;
  onDurable(callback: () => void): void;
  commitNow(): void;
  agentNumber(name: string): number;
  restoreActions(): Promise<RestoredActions>;
  epoch(): EpochInfo;
  state(): { readonly condition: string };
}

export interface ActingDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: ActLog;
  readonly newId: (wallMs: number) => string;
  readonly policy: Policy;
  readonly gateway: string;
  readonly plans: ReadonlyMap<string, ToolPlan>;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly bus: Pick<CommandBus, "connected" | "drained">;
  readonly modes: ModeView;
  readonly isLatched: () => boolean;
  readonly isApprover: (name: string) => boolean;
  readonly effectsPerMinute: number;
}

/** What came of a person's answer. */
export interface Answered {
  readonly accepted: boolean;
  readonly reason: string | undefined;
  readonly state: string;
  readonly given: number;
  readonly needs: number;
}

interface Inside {
  readonly proposer: Proposer;
  readonly executor: Executor;
  readonly approvals: Approvals;
  readonly limits: Limits;
  readonly breakers: Breakers;
  readonly exclusion: Exclusion;
}

const SECOND_MS = 1000;
const FORGET_MS = 60_000;
const STOP_MS = 5000;

/** Everything between a proposal and its verified effect. */
export class Acting {
  readonly name = "acting";
  readonly #deps: ActingDeps;
  readonly #readings: Readings;
  readonly #handoffs = new Map<string, Action>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #ending = new AbortController();
  #inside: Inside | undefined;
  #restored: RestoredActions | undefined;

  constructor(deps: ActingDeps) {
    this.#deps = deps;
    const kept = [...deps.plans.values()].flatMap(({ requires }) => requires.map(({ topic }) => filterOf(topic)));
    this.#readings = new Readings(deps.clock, (topic) => kept.some((filter) => topicMatches(filter, topic)));
  }

  /** After the store, before anything is decided. */
  async start(): Promise<void> {
    const restored = await this.#deps.store.restoreActions();
    this.#restored = restored;
    this.#inside = this.#build(restored);
    this.#timers.push(setInterval(() => this.#expire(), SECOND_MS));
    this.#timers.push(setInterval(() => this.#inside?.limits.forget(), FORGET_MS));
  }

  /** When the bus is there: what an earlier start left open is brought to its end. */
  readonly recovery = {
    name: "recovery",
    start: async (): Promise<void> => this.#recover(),
    stop: async (): Promise<void> => undefined,
  };

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#ending.abort();
    await this.#inside?.executor.stop(STOP_MS);
  }

  /** A message of the plant, for readbacks and interlocks. */
  readonly heard = (reading: BusReading): void => this.#readings.heard(reading);

  /**
   * Judges what a decision proposes. The lines go to disk together with the decision's; `durable` is called when they
   * are there, and not before. Undefined: nothing is proposed.
   */
  propose(origin: Origin, proposed: readonly Proposed[]): { records: NewRecord[]; durable: () => void } | undefined {
    const inside = this.#inside;
    if (inside === undefined) return undefined;
    const judged = inside.proposer.propose(origin, proposed);
    if (judged.records.length === 0) return undefined;
    this.#count(judged, origin);
    return { records: judged.records, durable: () => this.#goOn(judged) };
  }

  /** A person wants something done. Resolves when what became of it is on disk. */
  async proposeAs(
    by: string,
    tool: string,
    given: Arguments,
  ): Promise<{ id: string; state: string; reason: string | undefined } | undefined> {
    const nowMs = this.#deps.clock.wallMs();
    const context = { key: "", timeMs: nowMs, fields: {}, features: {}, answer: {} };
    const origin: Origin = { decision: undefined, by, agent: "", key: "", context, trace: undefined, nowMs };
    const proposed: Proposed = { rule: "person", index: 0, tool, arguments: given, private: [] };
    const made = this.propose(origin, [proposed]);
    const [first] = made?.records ?? [];
    if (made === undefined || first === undefined) return undefined;
    this.#deps.store.appendTogether(made.records);
    await this.#durable();
    made.durable();
    const { state, reason } = JSON.parse(first.body) as { state?: string; reason?: string };
    return { id: first.id, state: state ?? "intended", reason };
  }

  proposals(): readonly OpenProposal[] {
    return this.#inside?.approvals.list() ?? [];
  }

  /** Tasks that wait for a person. */
  handoffs(): readonly Action[] {
    return [...this.#handoffs.values()];
  }

  /** A person takes a task. False: nothing waits under this id. */
  async take(id: string, by: string): Promise<boolean> {
    const action = this.#handoffs.get(id);
    if (action === undefined) return false;
    this.#handoffs.delete(id);
    this.#step(action, { state: "acknowledged", reason: "taken", by, final: true });
    await this.#durable();
    return true;
  }

  /** A person's answer to a proposal. Resolves when it, and the intent that it may have led to, are on disk. */
  async answer(given: GivenAnswer): Promise<Answered> {
    const { approvals } = this.#whole();
    const weighed = approvals.weigh(given);
    if (weighed.kind === "refused") {
      this.#deps.store.append(this.#approval(given, "refused", weighed.reason));
      await this.#durable();
      return { accepted: false, reason: weighed.reason, state: "refused", given: 0, needs: 0 };
    }
    const { waiting } = weighed;
    const counts = { given: waiting.given.length, needs: waiting.proposal.needs ?? 1 };
    const record = this.#approval(given, given.decision, undefined);
    if (weighed.kind === "more") {
      this.#deps.store.append(record);
      await this.#durable();
      return { accepted: true, reason: undefined, state: "awaitingApproval", ...counts };
    }
    approvals.close(waiting.id);
    if (weighed.kind === "rejected") {
      this.#close(waiting, [record], { state: "denied", reason: "rejected", by: given.by ?? "" });
      await this.#durable();
      return { accepted: true, reason: undefined, state: "denied", ...counts };
    }
    const end = await this.#approved(waiting, record);
    return { accepted: true, ...end, ...counts };
  }

  /** Nothing that a person stopped leaves after this. */
  async settle(): Promise<void> {
    await this.#inside?.executor.settle();
    await this.#deps.bus.drained();
  }

  /** How many actions are under way, and how many wait for people. */
  figures(): { running: number; awaitingApproval: number; handoffs: number } {
    const { executor, approvals } = this.#inside ?? {};
    return {
      running: executor?.running ?? 0,
      awaitingApproval: approvals?.list().length ?? 0,
      handoffs: this.#handoffs.size,
    };
  }

  breakerOf(tool: string): { failures: number; isOpen: boolean } {
    const state = this.#inside?.breakers.stateOf(tool);
    return { failures: state?.failures ?? 0, isOpen: state !== undefined && state.openUntilBootMs !== null };
  }

  #build(restored: RestoredActions): Inside {
    const { clock, store, newId, policy, gateway, plans, tools, modes, isLatched, isApprover } = this.#deps;
    const keep = (scope: string, state: string | null): void => store.project({ kind: "limit", scope, state });
    const limits = new Limits({ clock, keep }, this.#deps.effectsPerMinute, restored.limits);
    const breakers = new Breakers({ clock, keep }, restored.limits);
    const exclusion = new Exclusion({ clock, keep }, plans.values(), restored.limits);
    const readings = this.#readings;
    const agentNumber = (agent: string): number => store.agentNumber(agent);
    const isFull = (): boolean => store.state().condition === "full";
    const approvals = new Approvals({ clock, isApprover });
    const proposer = new Proposer(
      { clock, newId, agentNumber, policy, gateway, modes, isLatched, isFull, limits, breakers, exclusion, readings },
      plans,
    );
    const executor = new Executor({
      clock,
      tools,
      modes,
      isLatched,
      limits,
      readings,
      step: (action, step) => this.#step(action, step),
      handedOver: (action) => this.#handoffs.set(action.id, action),
    });
    return { proposer, executor, approvals, limits, breakers, exclusion };
  }

  #recover(): void {
    const { clock, store, plans, policy, bus } = this.#deps;
    const { executor, approvals, exclusion } = this.#whole();
    const recoverer = new Recoverer(
      { clock, plans, bus, readings: this.#readings, signal: this.#ending.signal, policyDigest: policy.digest },
      {
        wait: (waiting) => approvals.wait(waiting),
        keep: (action) => this.#handoffs.set(action.id, action),
        close: (left, step) => this.#closeLeft(left, step),
        again: (action, attempt) => executor.start(action, attempt, { state: "unknown", reason: "the daemon ended" }),
      },
    );
    recoverer.run(this.#restored?.open ?? [], store.epoch().reason);
    exclusion.settle(new Set(recoverer.openIds));
    this.#restored = undefined;
  }

  /** The intents are on disk: now they may leave. */
  #goOn(judged: Judged): void {
    const { executor, approvals } = this.#whole();
    for (const action of judged.actions) executor.start(action);
    for (const waiting of judged.waiting) {
      approvals.wait(waiting);
      const { tool, agent, key } = waiting.proposal;
      this.#deps.log.warn({ part: "act", tool, agent, key, id: waiting.id }, "an action waits for approval");
    }
  }

  async #approved(waiting: OpenProposal, record: NewRecord): Promise<{ state: string; reason: string | undefined }> {
    const { proposer, executor } = this.#whole();
    const nowMs = this.#deps.clock.wallMs();
    const { judgement, verdict } = proposer.approved(waiting, nowMs);
    const { state, reason } = judgement;
    if (state !== "intended") {
      this.#close(waiting, [record], { state, ...(reason === undefined ? {} : { reason }) });
      await this.#durable();
      return { state, reason };
    }
    const { action, record: intent } = proposer.intendApproved(waiting, verdict, nowMs);
    this.#deps.store.appendTogether([record, intent]);
    await this.#durable();
    executor.start(action);
    return { state, reason };
  }

  #expire(): void {
    const inside = this.#inside;
    for (const waiting of inside?.approvals.late() ?? []) {
      inside?.approvals.close(waiting.id);
      const record = this.#approval(
        { proposal: waiting.id, by: undefined, decision: "rejected" },
        "expired",
        undefined,
      );
      this.#close(waiting, [record], { state: "denied", reason: "approvalExpired" });
    }
  }

  #close(waiting: OpenProposal, before: readonly NewRecord[], step: Step): void {
    const { store } = this.#deps;
    const action = { id: waiting.id, proposedBootMs: undefined };
    const end = outcomeRecord(action, waiting.proposal.agent, { ...step, final: true }, this.#recordDeps());
    store.appendTogether([...before, end]);
    store.count(waiting.proposal.agent, `action:${step.state}`, 1, this.#deps.clock.wallMs());
  }

  #closeLeft(left: { readonly id: string; readonly tool: string; readonly agent: string }, step: Step): void {
    const { store, clock, plans } = this.#deps;
    const { id, tool, agent } = left;
    store.append(outcomeRecord({ id, proposedBootMs: undefined }, agent, { ...step, final: true }, this.#recordDeps()));
    store.count(agent, `action:${step.state}`, 1, clock.wallMs());
    const plan = plans.get(tool);
    if (plan !== undefined) this.#whole().exclusion.done(plan, id);
  }

  #step(action: Action, step: Step): void {
    const { store, clock, log } = this.#deps;
    const { plan, intent } = action;
    store.append(outcomeRecord(action, intent.agent, step, this.#recordDeps()));
    if (step.final !== true) return;
    const { breakers, exclusion } = this.#whole();
    const { state } = step;
    store.count(intent.agent, `action:${state}`, 1, clock.wallMs());
    if (state === "dryRun") return;
    const hasFailed = state === "failed" || state === "unknown" || state === "unverified";
    const worked = state === "verified" || state === "acknowledged";
    breakers.ended(plan, worked ? true : hasFailed ? false : undefined);
    exclusion.done(plan, action.id);
    const { tool, agent, key } = intent;
    if (hasFailed || state === "expired")
      log.warn(
        { part: "act", tool, agent, key, id: action.id, reason: `${state}: ${step.reason ?? ""}` },
        "an action did not get through",
      );
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

  #count(judged: Judged, { agent, nowMs }: Origin): void {
    for (const record of judged.records) {
      const state = record.kind === "intent" ? "intended" : (JSON.parse(record.body) as { state: string }).state;
      this.#deps.store.count(agent, `action:${state}`, 1, nowMs);
    }
  }

  #recordDeps(): Parameters<typeof outcomeRecord>[3] {
    const { clock, newId, store } = this.#deps;
    return { clock, newId, agentNumber: (agent) => store.agentNumber(agent) };
  }

  #durable(): Promise<void> {
    const { store } = this.#deps;
    return new Promise((resolve) => {
      store.onDurable(resolve);
      store.commitNow();
    });
  }

  #whole(): Inside {
    if (this.#inside === undefined) throw new Error("acting is not started");
    return this.#inside;
  }
}
