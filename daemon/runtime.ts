import type { ModelHandle } from "../models/inference.ts";
import type { PreparedAgent } from "./generation.ts";
import type { Intake } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import type { Component } from "./lifecycle.ts";
import { createOwnSources } from "./own-sources.ts";
import type { MqttBinding } from "./sources/mqtt.ts";
import type { AgentStatus } from "./status.ts";
import { createUnit, type RuntimeSpec, type Shared, type Unit } from "./unit.ts";

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
const PUMP_MS = 20;
const DRAIN_MS = 6000;

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
        if (status.state !== "ready")
          log.error(
            {
              part: "inference",
              model: status.name,
              version: status.version,
              reason: `${status.state}: ${status.reason ?? "?"}`,
            },
            "model can not be used; its agents take their fallback",
          );
      }
      for (const unit of units.values()) timers.push(...startTimers(unit));
      timers.push(setInterval(() => door.pump(), PUMP_MS));
    },
    stop: async () => {
      for (const timer of timers) clearInterval(timer);
      await drained(units, shared);
      await written(units, shared);
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
      take: (at, parsed, message, receivedMs, settled) =>
        intakeOf(plan.name)?.take(at, parsed, message, receivedMs, settled),
    };
    return [{ sink, source, config, fields, eventIdPath: plan.config.event.id?.path }];
  });
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

/** All windows that live from checkpoints are written down, in rounds that the log has room for. */
async function written(units: ReadonlyMap<string, Unit>, { store, clock }: Shared): Promise<void> {
  const until = clock.bootMs() + DRAIN_MS;
  // On a full disk a flush does not end.
  const flushed = (): Promise<unknown> =>
    Promise.race([store.flush(), new Promise((resolve) => setTimeout(resolve, until - clock.bootMs()).unref())]);
  for (const { keeper } of units.values()) {
    while (keeper?.checkpoint() === true && clock.bootMs() < until) await flushed();
  }
  await flushed();
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
