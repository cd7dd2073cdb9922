import type { LoadedConfig } from "../config/load.ts";
import { Inference } from "../models/inference.ts";
import type { Decision } from "../sync/records.ts";
import { childPath } from "./children.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Door } from "./door.ts";
import { DaemonError } from "./errors.ts";
import { type Places, type Prepared, type PreparedAgent, prepare } from "./generation.ts";
import { createIds } from "./ids.ts";
import type { Log } from "./log.ts";
import { MemoryLog } from "./memory-log.ts";
import { type MqttBinding, MqttSources } from "./sources/mqtt.ts";
import { createUnit, type Unit } from "./unit.ts";
import { Watch } from "./watch.ts";

/** What an agent would have done. Times are the events' own. */
export interface TrySummary {
  readonly agent: string;
  readonly events: number;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly counters: Readonly<Record<string, number>>;
  readonly passes: number;
  readonly fired: readonly { readonly rule: string; readonly times: readonly number[] }[];
  readonly answers: Readonly<Record<string, { readonly min: number; readonly median: number; readonly max: number }>>;
}

export interface Trial {
  /** The topics the agent listens to, as its file has them. */
  readonly topics: readonly string[];
  readonly isWindowed: boolean;
  /** Offers one message as if it had come at `nowMs`; `isLive` leaves time to the real clock. */
  offer(topic: string, payload: Buffer, nowMs: number): Promise<void>;
  summary(): TrySummary;
  close(): Promise<void>;
}

const MANY_ANSWERS = 200_000;
const REMEMBERED_IDS = 65_536;

/** A clock that says what it is told: in a trial over recorded events, time is theirs. */
class EventClock implements Clock {
  readonly bootId = "try";
  nowMs = 0;
  wallMs = (): number => this.nowMs;
  bootMs = (): number => this.nowMs;
  trust = () => "synced" as const;
}

/** One agent with its model in a host of its own, without log, bus or effects. */
export async function openTrial(
  loaded: LoadedConfig,
  agentName: string | undefined,
  places: Places,
  log: Log,
  live: boolean,
): Promise<Trial> {
  const prepared = await prepare(loaded, places);
  const found = chosenAgent(prepared, agentName);
  const eventClock = new EventClock();
  const clock: Clock = live ? systemClock() : eventClock;
  const seen = new Seen(found);
  const memory = new MemoryLog((decision) => seen.note(decision));
  const inference = new Inference({ hostPath: childPath("models/host/main"), clock: systemClock(), log });
  await inference.start();
  const { device, bus } = loaded.config.gateway;
  const door = new Door({ limits: [1, 1, 1, 1], nowBootMs: () => clock.bootMs(), isBlocked: () => false });
  const ids = { newId: createIds(), random: Math.random };
  const { dataDirectory } = places;
  const unit = await createUnit(
    found,
    { agents: [found], generation: prepared.digest, arm: "incumbent", device, rememberIds: REMEMBERED_IDS },
    { clock, log, store: memory, inference, door, watch: new Watch(), dataDirectory, ...ids },
    await memory.restore(),
    new Map(),
  );
  await refuseUnusable(inference);
  const bindings = bindingsOf(found, unit);
  const sources = new MqttSources(bindings, { clock, maxPayloadBytes: bus.maxPacketBytes });
  return {
    topics: bindings.map((binding) => binding.config.topic),
    isWindowed: found.plan.config.window !== undefined,
    async offer(topic, payload, nowMs) {
      await advance(unit, eventClock, nowMs, live);
      seen.event(nowMs);
      sources.accept({ ...PLAIN, topic, payload });
      await settled(unit);
    },
    summary: () => seen.summary(memory.counters, unit),
    close: () => inference.stop(),
  };
}

const PLAIN = { qos: 0, retain: false, duplicate: false, traceparent: undefined, receipt: undefined } as const;

/** The agent that was asked for, with every pass written down: that is what a trial is about. */
function chosenAgent(prepared: Prepared, agentName: string | undefined): PreparedAgent {
  const names = prepared.agents.map((one) => one.plan.name);
  const wanted = agentName ?? (names.length === 1 ? names[0] : undefined);
  const found = prepared.agents.find((one) => one.plan.name === wanted);
  if (found === undefined) {
    const hint = `Name one with --agent: ${names.join(", ")}.`;
    throw new DaemonError("NO_SUCH_AGENT", { agent: agentName ?? "(none named)" }, { hint });
  }
  const config = { ...found.plan.config, record: { quiet: "all" as const, probability: 1 } };
  return { ...found, plan: { ...found.plan, config } };
}

async function refuseUnusable(inference: Inference): Promise<void> {
  const [status] = inference.models();
  if (status === undefined || status.state === "ready") return;
  await inference.stop();
  throw new DaemonError("MODEL_UNUSABLE", { model: status.name, reason: status.reason });
}

function bindingsOf({ plan }: PreparedAgent, unit: Unit): MqttBinding[] {
  const fields = plan.fields.map((field) => field.name);
  const eventIdPath = plan.config.event.id?.path;
  return plan.config.sources.flatMap((config, source) =>
    config.kind === "mqtt" ? [{ sink: unit.intake, source, config, fields, eventIdPath }] : [],
  );
}

/** What came by: events, answers, and when rules fired. */
class Seen {
  readonly #agent: string;
  readonly #answers = new Map<string, number[]>();
  readonly #fired: Map<string, number[]>;
  #events = 0;
  #from: number | undefined;
  #to: number | undefined;

  constructor({ plan }: PreparedAgent) {
    this.#agent = plan.name;
    this.#fired = new Map(plan.config.rules.map((rule) => [rule.id, []]));
  }

  event(nowMs: number): void {
    this.#events += 1;
    this.#from = Math.min(this.#from ?? nowMs, nowMs);
    this.#to = Math.max(this.#to ?? nowMs, nowMs);
  }

  note(decision: Decision): void {
    for (const rule of decision.rules) if (rule.fired) this.#fired.get(rule.id)?.push(decision.eventTime);
    for (const [name, value] of Object.entries(decision.answer ?? {})) {
      if (typeof value !== "number") continue;
      const values = this.#answers.get(name) ?? [];
      if (values.length < MANY_ANSWERS) values.push(value);
      this.#answers.set(name, values);
    }
  }

  summary(counters: ReadonlyMap<string, number>, unit: Unit): TrySummary {
    return {
      agent: this.#agent,
      events: this.#events,
      from: this.#from,
      to: this.#to,
      counters: Object.fromEntries(counters),
      passes: unit.ledger.passes().decided,
      fired: [...this.#fired].map(([rule, times]) => ({ rule, times })),
      answers: Object.fromEntries([...this.#answers].map(([name, values]) => [name, spread(values)])),
    };
  }
}

/** Lets time pass up to `nowMs`: the passes and silences that are due in between happen when they would have. */
async function advance(unit: Unit, clock: EventClock, nowMs: number, live: boolean): Promise<void> {
  if (live || nowMs <= clock.nowMs) return;
  const { plan } = unit.prepared;
  const stepMs = plan.everyMs ?? (plan.config.silence === undefined ? undefined : 1000);
  // Time without news brings no pass, so a long hole in the recording is not walked through second by second.
  const dueMs = stepMs === undefined || clock.nowMs === 0 ? undefined : (Math.floor(clock.nowMs / stepMs) + 1) * stepMs;
  if (dueMs !== undefined && dueMs <= nowMs) {
    clock.nowMs = dueMs;
    if (plan.everyMs !== undefined) unit.agent.tick();
    await settled(unit);
  }
  clock.nowMs = nowMs;
  unit.recorder.watchSilence();
}

async function settled(unit: Unit): Promise<void> {
  while (unit.agent.isBusy) await new Promise((resolve) => setImmediate(resolve));
}

function spread(values: readonly number[]): { min: number; median: number; max: number } {
  const ordered = [...values].sort((a, b) => a - b);
  return {
    min: ordered[0] ?? Number.NaN,
    median: ordered[Math.floor(ordered.length / 2)] ?? Number.NaN,
    max: ordered.at(-1) ?? Number.NaN,
  };
}
