import type { Intent } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";
import { crashpoint } from "../crashpoint.ts";
import type { Policy } from "../guard.ts";
import { millisecondOf } from "../ids.ts";
import type { Log } from "../log.ts";
import { topicMatches } from "../sources/topics.ts";
import type { EpochInfo, RestoredActions } from "../store/messages.ts";
import type { NewRecord } from "../store/open-batch.ts";
import type { Action, Proposed } from "./action.ts";
import { Breakers } from "./breakers.ts";
import { sinceBootMs } from "./deadline.ts";
import { Desk } from "./desk.ts";
import { Exclusion } from "./exclusion.ts";
import { Executor } from "./executor.ts";
import { FullDisk } from "./full-disk.ts";
import { Limits } from "./limits.ts";
import { type Judged, type ModeView, type Origin, Proposer } from "./proposer.ts";
import { Readings } from "./readings.ts";
import { type Closed, Recoverer } from "./recoverer.ts";
import { readLeftOpen } from "./recovery.ts";
import type { Reserve } from "./reserve.ts";
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
  restoreActions(ids: readonly string[]): Promise<RestoredActions>;
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
  /** Where intents of the safe direction go when the log has no room. */
  readonly reserve: Reserve;
}

interface Inside {
  readonly proposer: Proposer;
  readonly executor: Executor;
  readonly desk: Desk;
  readonly limits: Limits;
  readonly breakers: Breakers;
  readonly exclusion: Exclusion;
}

const SECOND_MS = 1000;
const FORGET_MS = 60_000;
/** How often those are looked at that wait for a disk that may be full. */
const FULL_LOOK_MS = 50;
const STOP_MS = 5000;

/** Everything between a proposal and its verified effect. */
export class Acting {
  readonly name = "acting";
  readonly #deps: ActingDeps;
  readonly #readings: Readings;
  readonly #fullDisk: FullDisk;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #ending = new AbortController();
  #inside: Inside | undefined;
  #restored: RestoredActions | undefined;

  constructor(deps: ActingDeps) {
    this.#deps = deps;
    this.#fullDisk = new FullDisk({
      reserve: deps.reserve,
      log: deps.log,
      isFull: () => deps.store.state().condition === "full",
      start: (action) => this.#whole().executor.start(action),
    });
    const kept = [...deps.plans.values()].flatMap(({ requires }) => requires.map(({ topic }) => filterOf(topic)));
    this.#readings = new Readings(deps.clock, (topic) => kept.some((filter) => topicMatches(filter, topic)));
  }

  /** After the store, before anything is decided. */
  async start(): Promise<void> {
    const { store, reserve, log } = this.#deps;
    const reserved = await reserve.start().catch((err: unknown) => {
      log.warn({ part: "act", err }, "there is no reserve for a full disk");
      return [];
    });
    const ids = reserved.map((intent) => intent.id);
    const restored = await store.restoreActions(ids);
    const lost = reserved.filter(({ id }) => !restored.known.includes(id));
    if (lost.length > 0) await this.#relog(lost);
    for (const id of ids) await this.#fullDisk.release(id);
    const open = lost.map((intent) => ({ first: JSON.stringify(intent), intent: JSON.stringify(intent) }));
    this.#restored = {
      ...restored,
      open: [...restored.open, ...open.map((one) => ({ ...one, last: undefined, approvals: [] }))],
    };
    this.#inside = this.#build(restored);
    this.#countWhatMayHaveLeft(restored.open, lost);
    this.#timers.push(setInterval(() => this.#inside?.desk.expire(), SECOND_MS));
    this.#timers.push(setInterval(() => this.#fullDisk.look(), FULL_LOOK_MS));
    this.#timers.push(setInterval(() => this.#inside?.limits.forget(), FORGET_MS));
  }

  /** As long as the bus is there: what an earlier start left open is brought to its end, and what is under way at a stop. */
  readonly recovery = {
    name: "recovery",
    start: async (): Promise<void> => this.#recover(),
    stop: async (): Promise<void> => this.#end(),
  };

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#end();
    await this.#deps.reserve.stop();
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
    crashpoint("act.judged");
    this.#count(judged, origin);
    for (const action of judged.actions) this.#fullDisk.waits(action);
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
    const origin: Origin = {
      decision: undefined,
      by,
      agent: "",
      key: "",
      context,
      private: [],
      trace: undefined,
      nowMs,
    };
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

  /** Where people are waited for. Undefined before the start. */
  get desk(): Desk | undefined {
    return this.#inside?.desk;
  }

  /** Nothing that a person stopped leaves after this. */
  async settle(): Promise<void> {
    await Promise.all([this.#inside?.executor.settle(), this.#deps.bus.drained()]);
  }

  /** How many actions are under way, and how many wait for people. */
  figures(): { running: number; awaitingApproval: number; handoffs: number } {
    const { executor, desk } = this.#inside ?? {};
    return {
      running: executor?.running ?? 0,
      awaitingApproval: desk?.proposals().length ?? 0,
      handoffs: desk?.handoffs().length ?? 0,
    };
  }

  breakerOf(tool: string): { failures: number; isOpen: boolean } {
    const state = this.#inside?.breakers.stateOf(tool);
    return { failures: state?.failures ?? 0, isOpen: state !== undefined && state.openUntilBootMs !== null };
  }

  #build(restored: RestoredActions): Inside {
    const { clock, store, newId, policy, gateway, plans, tools, modes, isLatched, isApprover } = this.#deps;
    const keep = (scope: string, state: string | null): void => store.project({ kind: "limit", scope, state });
    const { wentBack } = restored;
    const unknownMs = wentBack === undefined ? undefined : sinceBootMs(wentBack, clock);
    const limits = new Limits({ clock, keep }, this.#deps.effectsPerMinute, restored.limits, unknownMs);
    const breakers = new Breakers({ clock, keep }, restored.limits);
    const exclusion = new Exclusion({ clock, keep }, plans.values(), restored.limits, unknownMs);
    const readings = this.#readings;
    const agentNumber = (agent: string): number => store.agentNumber(agent);
    const isFull = (): boolean => store.state().condition === "full";
    const hasReserve = (): boolean => this.#deps.reserve.free > 0;
    const proposer = new Proposer(
      {
        ...{ clock, newId, agentNumber, policy, gateway, modes, isLatched },
        ...{ isFull, hasReserve, limits, breakers, exclusion, readings },
      },
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
      handedOver: (action) => desk.handOver(action),
    });
    const desk = new Desk({
      ...{ clock, store, newId, proposer, executor, isApprover },
      step: (action, step) => this.#step(action, step),
      durable: () => this.#durable(),
    });
    return { proposer, executor, desk, limits, breakers, exclusion };
  }

  /** While the bus is still there: what is under way gets its answers, and no readback is missed for want of it. */
  async #end(): Promise<void> {
    this.#ending.abort();
    await this.#inside?.executor.stop(STOP_MS);
  }

  #recover(): void {
    const { clock, store, plans, policy, bus } = this.#deps;
    const { executor, desk, exclusion } = this.#whole();
    const recoverer = new Recoverer(
      { clock, plans, bus, readings: this.#readings, signal: this.#ending.signal, policyDigest: policy.digest },
      {
        wait: (waiting) => desk.wait(waiting),
        keep: (action) => desk.handOver(action),
        close: (left, step) => this.#closeLeft(left, step),
        again: (action, attempt) => executor.start(action, attempt, { state: "unknown", reason: "the daemon ended" }),
      },
    );
    recoverer.run(this.#restored?.open ?? [], store.epoch().reason);
    crashpoint("act.recovered");
    exclusion.settle(new Set(recoverer.openIds));
    this.#restored = undefined;
  }

  /** The intents are on disk: now they may leave. */
  #goOn(judged: Judged): void {
    const { desk } = this.#whole();
    crashpoint("act.durable");
    for (const action of judged.actions) this.#fullDisk.isDurable(action);
    for (const waiting of judged.waiting) {
      desk.wait(waiting);
      const { tool, agent, key } = waiting.proposal;
      this.#deps.log.warn({ part: "act", tool, agent, key, id: waiting.id }, "an action waits for approval");
    }
  }

  /** Intents that only the reserve knew: the log gets them, since they may have left. */
  async #relog(lost: readonly Intent[]): Promise<void> {
    const { store } = this.#deps;
    for (const intent of lost) {
      const agent = store.agentNumber(intent.agent);
      const { id } = intent;
      store.append({ stream: 1, kind: "intent", agent, id, wallMs: millisecondOf(id), body: JSON.stringify(intent) });
    }
    await this.#durable();
  }

  /**
   * What left just before the end may not be written down: a first time, or another one. What only the reserve knew took
   * its limits in a transaction that never came to be.
   */
  #countWhatMayHaveLeft(open: RestoredActions["open"], lost: readonly Intent[]): void {
    const { plans } = this.#deps;
    const { limits, exclusion } = this.#whole();
    for (const one of open) {
      const { intent, lastState } = readLeftOpen(one);
      const plan = plans.get(intent?.tool ?? "");
      if (intent === undefined || plan === undefined || intent.dryRun === true) continue;
      const isUnsure = lastState === undefined || (plan.retries > 0 && lastState !== "acknowledged");
      if (isUnsure) limits.mayHaveLeft({ plan, target: intent.target, isDry: false });
    }
    for (const { tool, target, id } of lost) {
      const plan = plans.get(tool);
      if (plan === undefined) continue;
      const use = { plan, target, isDry: false };
      limits.take(use);
      limits.mayHaveLeft(use);
      exclusion.take(plan, target, id);
    }
  }

  #closeLeft({ id, made }: Closed, step: Step): void {
    const { store, clock, plans } = this.#deps;
    const { tool, agent } = made;
    const left = { id, proposedBootMs: undefined, intent: made };
    store.append(outcomeRecord(left, agent, { ...step, final: true }, this.#recordDeps()));
    store.count(agent, `action:${step.state}`, 1, clock.wallMs());
    const plan = plans.get(tool);
    if (plan !== undefined) this.#whole().exclusion.done(plan, id);
  }

  #step(action: Action, step: Step): void {
    const { store, clock, log } = this.#deps;
    const { plan, intent } = action;
    store.append(outcomeRecord(action, intent.agent, step, this.#recordDeps()));
    if (step.final !== true) return;
    crashpoint("act.end");
    const { breakers, exclusion } = this.#whole();
    const { state } = step;
    store.count(intent.agent, `action:${state}`, 1, clock.wallMs());
    if (state === "dryRun") return;
    const hasFailed = state === "failed" || state === "unknown" || state === "unverified";
    const worked = state === "verified" || state === "acknowledged";
    breakers.ended(plan, worked ? true : hasFailed && step.unrelated !== true ? false : undefined);
    exclusion.done(plan, action.id);
    const { tool, agent, key } = intent;
    if (!hasFailed && state !== "expired") return;
    // A reason may quote a topic or an answer, and those a private argument.
    const reason = intent.private === undefined ? `${state}: ${step.reason ?? ""}` : state;
    log.warn({ part: "act", tool, agent, key, id: action.id, reason }, "an action did not get through");
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
