import type { FieldRow } from "../models/field-memory.ts";
import type { Inference, ModelHandle } from "../models/inference.ts";
import { createLatest } from "../models/latest.ts";
import { createWindows, type Windows } from "../models/windows.ts";
import { Agent, type Readings } from "./agent.ts";
import { type AgentPlan, privateQueries } from "./agent-plan.ts";
import { AgentQuestions } from "./agent-questions.ts";
import type { DecisionForm } from "./body.ts";
import { type Clock, readingJudge } from "./clock.ts";
import { Dedupe } from "./dedupe.ts";
import type { Delivery } from "./delivery.ts";
import type { Door } from "./door.ts";
import type { PreparedAgent } from "./generation.ts";
import { Histogram } from "./histogram.ts";
import { Intake } from "./intake.ts";
import { Ledger } from "./ledger.ts";
import type { Log } from "./log.ts";
import type { Queries } from "./queries.ts";
import { type Proposals, Recorder } from "./recorder.ts";
import { BoundRules, type SavedState } from "./rules.ts";
import { Settlements } from "./settlements.ts";
import { Silence } from "./silence.ts";
import type { Restored } from "./store/messages.ts";
import type { Store } from "./store/store.ts";
import type { Watch } from "./watch.ts";
import { WindowKeeper } from "./window-keeper.ts";

/** Which generation runs, and as what. */
export interface RuntimeSpec {
  readonly agents: readonly PreparedAgent[];
  readonly generation: string;
  readonly arm: string;
  readonly device: { readonly name: string };
  readonly rememberIds: number;
}

/** What a generation needs of the log. */
export type AgentLog = Pick<
  Store,
  | "append"
  | "appendTogether"
  | "project"
  | "count"
  | "onDurable"
  | "commitNow"
  | "senderWaits"
  | "stir"
  | "room"
  | "flush"
  | "restore"
  | "agentNumber"
>;

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
  /** Where what decisions propose is judged; without it nothing acts. */
  readonly proposals?: Proposals | undefined;
  /** Without it questions have no answers. */
  readonly queries?: Queries | undefined;
}

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

const SECOND_MS = 1000;
/** Cutting the journal writes down keys that are behind, so it is done now and then. */
const JOURNAL_CUT_MS = 60_000;
/** The row under which a key's silence is kept beside the states of the rules. */
const SILENCE_RULE = "$silence";

/** What the parts of one agent are built around. */
interface Ground {
  readonly prepared: PreparedAgent;
  readonly spec: RuntimeSpec;
  readonly shared: Shared;
  readonly number: number;
  readonly handle: ModelHandle | undefined;
  readonly ledger: Ledger;
  readonly latency: Histogram;
  readonly saved: readonly SavedState[];
}

/** One agent with all that belongs to it; `holdfast try` builds it around a log in memory. */
export async function createUnit(
  prepared: PreparedAgent,
  spec: RuntimeSpec,
  shared: Shared,
  restored: Restored,
  loaded: Map<string, ModelHandle>,
): Promise<Unit> {
  const { plan, model } = prepared;
  const { store, clock, inference, watch, door } = shared;
  const number = store.agentNumber(plan.name);
  const ground: Ground = {
    prepared,
    spec,
    shared,
    number,
    handle: model === undefined ? undefined : await loadModel(prepared, inference, loaded),
    ledger: new Ledger(plan.name, store, restored.totals[plan.name]),
    latency: new Histogram(),
    saved: restored.ruleStates.filter((one) => one.agent === number),
  };
  const { ledger, latency } = ground;
  const { recorder, rules, silence } = createRecorder(ground);
  let keeper: WindowKeeper | undefined;
  const { readings, windows } = createReadings(plan, clock, (key) => {
    rules.forget(key);
    silence?.forget(key);
    keeper?.forget(key);
    store.project({ kind: "keyGone", agent: number, key });
    ledger.note("evicted", clock.wallMs());
  });
  keeper = windows === undefined ? undefined : createKeeper(ground, windows);
  keeper?.restore(restored);
  const settlements = new Settlements(store);
  const agent = createAgent(ground, { readings, recorder, settlements, seen: createSeen(ground, restored), keeper });
  ledger.queued = () => door.queuedOf(agent);
  const intake = new Intake(agent, spec.device.name, {
    clock,
    door,
    ledger,
    watch,
    settle: settlements.add,
    stir: () => store.stir(),
  });
  return { prepared, agent, ledger, intake, recorder, keeper, latency, readings };
}

function createRecorder(ground: Ground): { recorder: Recorder; rules: BoundRules; silence: Silence | undefined } {
  const { prepared, spec, shared, number, handle, ledger, latency, saved } = ground;
  const { clock, store, newId, random } = shared;
  const { config, priority } = prepared.plan;
  const keep = (key: string, rule: string, state: string | null): void =>
    store.project({ kind: "ruleState", agent: number, key, rule, state });
  const rules = new BoundRules(prepared.compiled, { clock, states: { keep } }, saved);
  const silence = config.silence === undefined ? undefined : new Silence(config.silence.afterSeconds * SECOND_MS);
  for (const { key, rule, state } of saved) {
    if (rule === SILENCE_RULE) silence?.restore(key, state === "true", clock.bootMs());
  }
  const keepSilence = (key: string, isSilent: boolean): void => keep(key, SILENCE_RULE, String(isSilent));
  const recorder = new Recorder(
    { clock, log: store, rules, ledger, newId, random, silence, keepSilence, proposals: shared.proposals },
    {
      form: formOf(prepared, spec, handle),
      agentNumber: number,
      quiet: config.record.quiet,
      probability: config.record.probability,
      prompt: priority <= 1,
      latency,
      fields: prepared.plan.fields.map((field) => field.name),
      hasFeatures: prepared.plan.features !== undefined,
    },
  );
  return { recorder, rules, silence };
}

function createKeeper(ground: Ground, windows: Windows): WindowKeeper {
  const { prepared, shared, number, ledger } = ground;
  const { plan } = prepared;
  const { checkpointSeconds = 10, seconds = 0, lateSeconds = 0 } = plan.config.window ?? {};
  const everyMs = plan.journaled ? JOURNAL_CUT_MS : checkpointSeconds * SECOND_MS;
  const reachMs = (seconds + lateSeconds) * SECOND_MS;
  return new WindowKeeper(
    { windows, store: shared.store, clock: shared.clock, ledger },
    { agent: number, journaled: plan.journaled, everyMs, reachMs, fields: plan.fields },
  );
}

function createSeen(ground: Ground, restored: Restored): Dedupe | undefined {
  if (ground.prepared.plan.config.event.id === undefined) return undefined;
  const blocks = restored.seen.filter((block) => block.agent === ground.number);
  return new Dedupe(
    ground.spec.rememberIds,
    blocks.flatMap((block) => block.ids),
  );
}

interface AgentParts {
  readonly readings: Readings;
  readonly recorder: Recorder;
  readonly settlements: Settlements;
  readonly seen: Dedupe | undefined;
  readonly keeper: WindowKeeper | undefined;
}

function createAgent(ground: Ground, parts: AgentParts): Agent {
  const { prepared, shared, number, handle, ledger } = ground;
  const { plan } = prepared;
  const { clock, store, inference, watch, door } = shared;
  const { readings, recorder, settlements, seen, keeper } = parts;
  const journal = {
    reading: (key: string, { eventTimeMs: timeMs, receivedMs: arrivalMs, values }: Delivery): void => {
      keeper?.journaled(timeMs);
      store.project({ kind: "reading", agent: number, key, timeMs, arrivalMs, values: journaled(values) });
    },
    seen: (id: string): void => store.project({ kind: "seenId", agent: number, id }),
    onDurable: settlements.add,
  };
  const forModel =
    handle === undefined ? () => store.room() : () => Math.min(store.room(), inference.room(plan.priority, handle));
  const questions = createQuestions(ground);
  const room = questions === undefined ? forModel : () => Math.min(forModel(), questions.room());
  const agent = new Agent(
    {
      name: plan.name,
      priority: plan.priority,
      opensOnEvent: plan.opensOnEvent,
      deadlineMs: plan.config.deadlineSeconds * SECOND_MS,
      coalesces: plan.config.coalesce === "latest",
      fields: plan.fields,
      journaled: plan.journaled,
      model: handle,
    },
    ledger,
    { clock, readings, seen, recorder, watch, answers: inference, questions, room, onRoom: door.wake, journal },
  );
  if (questions !== undefined) questions.onReady = (pass, result) => agent.settled(pass, result);
  return agent;
}

function createQuestions({ prepared, shared, ledger }: Ground): AgentQuestions | undefined {
  const { clock, queries } = shared;
  if (prepared.queries === undefined || queries === undefined) return undefined;
  return new AgentQuestions({ clock, queries, ledger }, prepared.queries);
}

function journaled(values: FieldRow): (number | string | boolean | null)[] {
  return values.map((value) => value ?? null);
}

async function loadModel(
  prepared: PreparedAgent,
  inference: Inference,
  loaded: Map<string, ModelHandle>,
): Promise<ModelHandle> {
  const model = prepared.model as NonNullable<PreparedAgent["model"]>;
  const { lane, deadlineSeconds, hardTimeoutSeconds, maxBatch } = model.config;
  // Agents share a model where they want it alike; the same file with other limits is another one.
  const place = `${lane} ${model.manifest.digest} ${deadlineSeconds} ${hardTimeoutSeconds} ${maxBatch}`;
  const known = loaded.get(place);
  if (known !== undefined) return known;
  const handle = await inference.load({
    directory: model.directory,
    manifest: model.manifest,
    lane,
    deadlineMs: deadlineSeconds * SECOND_MS,
    hardTimeoutMs: hardTimeoutSeconds * SECOND_MS,
    maxBatch,
  });
  loaded.set(place, handle);
  return handle;
}

function createReadings(
  plan: AgentPlan,
  clock: Pick<Clock, "bootMs" | "trust">,
  onEvict: (key: string) => void,
): { readings: Unit["readings"]; windows: Windows | undefined } {
  const { config, fields, features } = plan;
  const sources = config.sources.map((_, source) =>
    fields.flatMap((field, at) => (field.source === source ? [at] : [])),
  );
  const futureMs = config.event.futureSeconds * SECOND_MS;
  const common = { fields, sources, futureMs, onEvict };
  const windows =
    config.window === undefined || features === undefined
      ? undefined
      : createWindows({
          ...common,
          spanMs: config.window.seconds * SECOND_MS,
          lateMs: config.window.lateSeconds * SECOND_MS,
          minimumCoverage: config.window.minimumCoverage,
          maxKeys: config.window.maxKeys,
          maxReadings: config.window.maxReadings,
          expectEveryMs:
            config.window.expectEverySeconds === undefined ? undefined : config.window.expectEverySeconds * SECOND_MS,
          features: features.map((one) => one.call),
        });
  const memory = windows ?? createLatest({ ...common, maxKeys: config.maxKeys });
  const judge = readingJudge(clock);
  const readings: Unit["readings"] = {
    insert: (delivery: Delivery) =>
      memory.insert(delivery.key, delivery.values, delivery.eventTimeMs, judge(delivery.receivedMs), delivery.source),
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

function formOf(prepared: PreparedAgent, spec: RuntimeSpec, handle: ModelHandle | undefined): DecisionForm {
  const { plan } = prepared;
  return {
    agent: plan.name,
    generation: spec.generation.slice(0, 16),
    arm: spec.arm,
    model:
      handle === undefined
        ? undefined
        : { name: handle.name, version: handle.version, digest: handle.digest.replace("sha256:", "").slice(0, 16) },
    inputNames: plan.inputs.map((input) => input.name),
    fieldNames: readsFields(prepared) ? plan.fields.map((field) => field.name) : undefined,
    outputNames: handle?.manifest.outputs.map((output) => output.name) ?? [],
    windowed: plan.config.window !== undefined,
    privateNames: privateNamesOf(plan),
  };
}

/** Private fields, the features that are made from them, and the questions that they go into. */
function privateNamesOf(plan: AgentPlan): string[] {
  const { fields, features } = plan;
  const hidden = new Set(fields.filter((field) => field.isPrivate).map((field) => field.name));
  const made = (features ?? []).filter((feature) => hidden.has(feature.call.field)).map((feature) => feature.name);
  return [...new Set([...hidden, ...made, ...privateQueries(plan)])];
}

/**
 * A rule, or what it does, looks at fields that the inputs do not show: they are written down too, so that the decision
 * and its actions can be made again.
 */
function readsFields({ plan, compiled }: PreparedAgent): boolean {
  if (plan.features === undefined) return false;
  const { rules, fallback, silence } = compiled;
  const actions = [...rules.flatMap((rule) => rule.actions), ...fallback, ...silence];
  const expressions = [
    ...rules.flatMap(({ when, clearWhen }) => [when, clearWhen]),
    ...actions.flatMap((action) => action.arguments.map((argument) => argument.expression)),
  ];
  return expressions.some((one) => [...(one?.reads ?? [])].some((name) => name.startsWith("event.fields")));
}
