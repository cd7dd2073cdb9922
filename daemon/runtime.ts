import type { Inference, ModelHandle } from "../models/inference.ts";
import { createLatest } from "../models/latest.ts";
import { createWindows, type Windows } from "../models/windows.ts";
import { Agent, type Readings } from "./agent.ts";
import type { AgentPlan } from "./agent-plan.ts";
import type { Clock } from "./clock.ts";
import { Dedupe } from "./dedupe.ts";
import type { Delivery } from "./delivery.ts";
import type { Door } from "./door.ts";
import type { PreparedAgent } from "./generation.ts";
import { Histogram } from "./histogram.ts";
import { Intake } from "./intake.ts";
import { Ledger } from "./ledger.ts";
import type { Component } from "./lifecycle.ts";
import type { Log } from "./log.ts";
import { WindowKeeper } from "./window-keeper.ts";
import { Recorder } from "./recorder.ts";
import { BoundRules } from "./rules.ts";
import { Settlements } from "./settlements.ts";
import { Silence } from "./silence.ts";
import type { MqttBinding } from "./sources/mqtt.ts";
import { createOwnSources } from "./own-sources.ts";
import type { AgentStatus } from "./status.ts";
import type { Restored } from "./store/messages.ts";
import type { Store } from "./store/store.ts";
import type { Watch } from "./watch.ts";

/** Which generation runs, and as what. */
export interface RuntimeSpec {
  readonly agents: readonly PreparedAgent[];
  readonly generation: string;
  readonly arm: string;
  readonly device: { readonly name: string };
  readonly rememberIds: number;
}

/** What a generation needs of the log. */
export type AgentLog = Pick<Store, "append" | "project" | "count" | "onDurable" | "commitNow" | "senderWaits" | "room" | "flush" | "restore" | "agentNumber">;

/** What all generations of a daemon share. */
export interface Shared {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: AgentLog;
  readonly inference: Inference;
  readonly door: Door;
  readonly watch: Watch;
  readonly newId: (wallMs: number) => string;
  readonly random: () => number;
  readonly dataDirectory: string;
}

/** One generation, loaded and running. */
export interface Runtime extends Component {
  /** What the bus's messages are offered to. Known before the start. */
  readonly bindings: readonly MqttBinding[];
  /** Vitals and schedules; they start after everything that they feed. */
  readonly ownSources: Component;
  ledgers(): readonly Ledger[];
  status(): readonly AgentStatus[];
}

const SECOND_MS = 1000;
const DRAIN_STEP_MS = 5;
const DRAIN_MS = 6000;

/** An agent of the running generation with what belongs to it. */
export interface Unit {
  readonly prepared: PreparedAgent;
  readonly agent: Agent;
  readonly ledger: Ledger;
  readonly intake: Intake;
  readonly recorder: Recorder;
  readonly keeper: WindowKeeper | undefined;
  readonly latency: Histogram;
  readonly readings: Readings & { readonly evicted: number };
}

/** Builds one generation. Agents come to life in `start`, when what earlier starts left behind has been read. */
export function createRuntime(spec: RuntimeSpec, shared: Shared): Runtime {
  const units = new Map<string, Unit>();
  const timers: NodeJS.Timeout[] = [];
  const { store, inference, door, log } = shared;
  const late = (name: string) => units.get(name)?.intake;
  const unsent: MqttBinding[] = spec.agents.flatMap((prepared) => bindingsOf(prepared, late));
  return {
    name: "runtime",
    bindings: unsent,
    ownSources: createOwnSources(spec.agents, shared, late),
    start: async () => {
      const restored = await store.restore();
      const loaded = new Map<string, ModelHandle>();
      for (const prepared of spec.agents) {
        const unit = await createUnit(prepared, spec, shared, restored, loaded);
        units.set(prepared.plan.name, unit);
      }
      for (const status of inference.models()) {
        if (status.state !== "ready") log.error({ part: "inference", model: status.name, version: status.version, reason: `${status.state}: ${status.reason ?? "?"}` }, "model can not be used; its agents take their fallback");
      }
      for (const unit of units.values()) timers.push(...startTimers(unit));
      timers.push(setInterval(() => door.pump(), DRAIN_STEP_MS * 4));
    },
    stop: async () => {
      for (const timer of timers) clearInterval(timer);
      await drained(units, shared);
      for (const unit of units.values()) unit.keeper?.checkpoint();
      await Promise.race([store.flush(), new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref())]);
    },
    ledgers: () => [...units.values()].map((unit) => unit.ledger),
    status: () => [...units.values()].map((unit) => unitStatus(unit)),
  };
}

/** Messages may come only after the start, so the intake is looked up when one does. */
function bindingsOf(prepared: PreparedAgent, intakeOf: (name: string) => Intake | undefined): MqttBinding[] {
  const { plan } = prepared;
  const fields = plan.fields.map((field) => field.name);
  return plan.config.sources.flatMap((config, source) => {
    if (config.kind !== "mqtt") return [];
    const sink: MqttBinding["sink"] = {
      take: (at, parsed, message, receivedMs, settled) => intakeOf(plan.name)?.take(at, parsed, message, receivedMs, settled),
    };
    return [{ sink, source, config, fields, eventIdPath: plan.config.event.id?.path }];
  });
}

/** One agent with all that belongs to it; `holdfast try` builds it around a log in memory. */
export async function createUnit(prepared: PreparedAgent, spec: RuntimeSpec, shared: Shared, restored: Restored, loaded: Map<string, ModelHandle>): Promise<Unit> {
  const { plan, model } = prepared;
  const { store, clock, inference, watch, door, random, newId } = shared;
  const number = store.agentNumber(plan.name);
  const handle = model === undefined ? undefined : await loadModel(prepared, inference, loaded);
  const ledger = new Ledger(plan.name, store, restored.totals[plan.name]);
  const latency = new Histogram();
  const silence = plan.config.silence === undefined ? undefined : new Silence(plan.config.silence.afterSeconds * SECOND_MS);
  const saved = restored.ruleStates.filter((one) => one.agent === number);
  const states = { keep: (key: string, rule: string, state: string | null) => store.project({ kind: "ruleState", agent: number, key, rule, state }) };
  const rules = new BoundRules(prepared.compiled, { clock, states }, saved);
  const forget = (key: string): void => {
    rules.forget(key);
    silence?.forget(key);
    store.project({ kind: "keyGone", agent: number, key });
    ledger.note("evicted", clock.wallMs());
  };
  const { readings, windows } = createReadings(plan, forget);
  const keeper = windows === undefined ? undefined : new WindowKeeper({ windows, store, clock, ledger }, { agent: number, journaled: plan.journaled, everyMs: (plan.config.window?.checkpointSeconds ?? 10) * SECOND_MS, fields: plan.fields });
  keeper?.restore(restored);
  for (const { key, rule, state } of saved) {
    if (rule === SILENCE_RULE) silence?.restore(key, state === "true", clock.bootMs());
  }
  const readsFields = plan.features !== undefined && [...prepared.compiled.rules].some(({ when, clearWhen }) => [...when.reads, ...(clearWhen?.reads ?? [])].some((name) => name.startsWith("event.fields")));
  const recorder = new Recorder(
    {
      clock, log: store, rules, ledger, newId, random, silence,
      keepSilence: (key, isSilent) => store.project({ kind: "ruleState", agent: number, key, rule: SILENCE_RULE, state: String(isSilent) }),
    },
    {
      form: formOf(prepared, spec, handle, readsFields),
      agentNumber: number,
      quiet: plan.config.record.quiet,
      probability: plan.config.record.probability,
      prompt: plan.priority <= 1,
      latency,
    },
  );
  const settlements = new Settlements(store);
  const seen = plan.config.event.id === undefined ? undefined : new Dedupe(spec.rememberIds);
  for (const block of restored.seen) if (block.agent === number) for (const id of block.ids) seen?.add(id);
  const agent = new Agent(
    {
      name: plan.name, priority: plan.priority, opensOnEvent: plan.opensOnEvent, deadlineMs: plan.config.deadlineSeconds * SECOND_MS,
      coalesces: plan.config.coalesce === "latest", fieldNames: plan.fields.map((field) => field.name), journaled: plan.journaled, model: handle,
    },
    ledger,
    {
      clock, readings, seen, recorder, watch, answers: inference,
      room: () => Math.min(store.room(), handle === undefined ? store.room() : inference.room(plan.priority, handle)),
      journal: {
        reading: (key, delivery) => store.project({ kind: "reading", agent: number, key, timeMs: delivery.eventTimeMs, arrivalMs: delivery.receivedMs, values: delivery.values.map((value) => value ?? null) }),
        seen: (id) => store.project({ kind: "seenId", agent: number, id }),
        onDurable: settlements.add,
      },
    },
  );
  ledger.queued = () => door.queuedOf(agent);
  const intake = new Intake(agent, spec.device.name, { clock, door, ledger, watch, settle: settlements.add });
  return { prepared, agent, ledger, intake, recorder, keeper, latency, readings };
}

/** The row under which a key's silence is kept beside the states of the rules. */
const SILENCE_RULE = "$silence";

async function loadModel(prepared: PreparedAgent, inference: Inference, loaded: Map<string, ModelHandle>): Promise<ModelHandle> {
  const model = prepared.model as NonNullable<PreparedAgent["model"]>;
  const place = `${model.config.lane} ${model.manifest.digest}`;
  const known = loaded.get(place);
  if (known !== undefined) return known;
  const handle = await inference.load({
    directory: model.directory,
    manifest: model.manifest,
    lane: model.config.lane,
    deadlineMs: model.config.deadlineSeconds * SECOND_MS,
    hardTimeoutMs: model.config.hardTimeoutSeconds * SECOND_MS,
    maxBatch: model.config.maxBatch,
  });
  loaded.set(place, handle);
  return handle;
}

function createReadings(plan: AgentPlan, onEvict: (key: string) => void): { readings: Unit["readings"]; windows: Windows | undefined } {
  const { config, fields, features } = plan;
  const sources = config.sources.map((_, source) => fields.flatMap((field, at) => (field.source === source ? [at] : [])));
  const futureMs = config.event.futureSeconds * SECOND_MS;
  const common = { fields, sources, futureMs, onEvict };
  const windows = config.window === undefined || features === undefined ? undefined : createWindows({
    ...common,
    spanMs: config.window.seconds * SECOND_MS,
    lateMs: config.window.lateSeconds * SECOND_MS,
    minimumCoverage: config.window.minimumCoverage,
    maxKeys: config.window.maxKeys,
    maxReadings: config.window.maxReadings,
    expectEveryMs: config.window.expectEverySeconds === undefined ? undefined : config.window.expectEverySeconds * SECOND_MS,
    features: features.map((one) => one.call),
  });
  const memory = windows ?? createLatest({ ...common, maxKeys: config.maxKeys });
  const readings: Unit["readings"] = {
    insert: (delivery: Delivery) => memory.insert(delivery.key, delivery.values, delivery.eventTimeMs, delivery.receivedMs, delivery.source),
    row: (key) => memory.row(key),
    keysWithNews: () => memory.keysWithNews(),
    get keys() {
      return memory.keys;
    },
    get evicted() {
      return memory.evicted;
    },
  };
  return { readings, windows };
}

function formOf(prepared: PreparedAgent, spec: RuntimeSpec, handle: ModelHandle | undefined, readsFields: boolean) {
  const { plan } = prepared;
  return {
    agent: plan.name,
    generation: spec.generation.slice(0, 16),
    arm: spec.arm,
    model: handle === undefined ? undefined : { name: handle.name, version: handle.version, digest: handle.digest.replace("sha256:", "").slice(0, 32) },
    inputNames: plan.inputs.map((input) => input.name),
    fieldNames: readsFields ? plan.fields.map((field) => field.name) : undefined,
    outputNames: handle?.manifest.outputs.map((output) => output.name) ?? [],
    windowed: plan.config.window !== undefined,
  };
}

function startTimers(unit: Unit): NodeJS.Timeout[] {
  const { plan } = unit.prepared;
  const timers: NodeJS.Timeout[] = [];
  if (plan.everyMs !== undefined) timers.push(setInterval(() => unit.agent.tick(), plan.everyMs));
  if (plan.config.silence !== undefined) timers.push(setInterval(() => unit.recorder.watchSilence(), SECOND_MS));
  if (unit.keeper !== undefined) timers.push(setInterval(() => unit.keeper?.tick(), unit.keeper.everyMs));
  return timers;
}

/** Waits until every pass has its decision, within bounds: a hung model is the host's affair. */
async function drained(units: ReadonlyMap<string, Unit>, shared: Shared): Promise<void> {
  const until = shared.clock.bootMs() + DRAIN_MS;
  const isBusy = (): boolean => shared.door.waiting > 0 || [...units.values()].some((unit) => unit.agent.inFlight > 0);
  while (isBusy() && shared.clock.bootMs() < until) {
    shared.door.pump();
    await new Promise((resolve) => setTimeout(resolve, DRAIN_STEP_MS));
  }
}

function unitStatus(unit: Unit): AgentStatus {
  const { plan, model } = unit.prepared;
  const passes = unit.ledger.passes();
  return {
    name: plan.name,
    priority: plan.config.priority,
    model: model === undefined ? null : `${model.manifest.name} ${model.manifest.version}`,
    keys: unit.readings.keys,
    evicted: unit.readings.evicted,
    deliveries: unit.ledger.deliveries(),
    passes,
    decided: passes.decided,
    fired: unit.ledger.total("fired"),
    fallbacks: unit.ledger.total("fallback"),
    p50Ms: unit.latency.quantile(0.5),
    p99Ms: unit.latency.quantile(0.99),
  };
}
