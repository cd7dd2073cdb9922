import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { GatewayConfig } from "../config/gateway.ts";
import type { LoadedConfig } from "../config/load.ts";
import { Inference } from "../models/inference.ts";
import { Library } from "../models/library.ts";
import { createActing } from "./act/create-acting.ts";
import { actionsForPeople } from "./act/for-people.ts";
import type { CommandBus } from "./act/tool.ts";
import type { Actions } from "./api/actions.ts";
import { ControlServer, type Verb } from "./api/control-server.ts";
import { fleetVerbs } from "./api/fleet-verbs.ts";
import { logLevelVerbs } from "./api/log-verbs.ts";
import { actionFilter, decisionIds, pageFilter } from "./api/page-filter.ts";
import { socketPath } from "./api/socket-path.ts";
import { supportVerbs } from "./api/support-verbs.ts";
import { bundledModels } from "./assets.ts";
import { type Authority, createAuthority } from "./authority.ts";
import type { Bus } from "./bus/bus.ts";
import { namedFiles } from "./bus/named-files.ts";
import { openBus } from "./bus/open-bus.ts";
import { gatewayName } from "./check-fleet.ts";
import { childPath } from "./children.ts";
import { type Clock, systemClock } from "./clock.ts";
import { armCrashpoint } from "./crashpoint.ts";
import { Door } from "./door.ts";
import { IdentityFiles } from "./enrol/identity-files.ts";
import { FleetPart } from "./fleet/fleet-part.ts";
import { LogLevel } from "./fleet/log-level.ts";
import { uplinkLog } from "./fleet/uplink-log.ts";
import { firstGeneration, type Prepared, prepare } from "./generation.ts";
import { createIds } from "./ids.ts";
import type { Component } from "./lifecycle.ts";
import type { Log, RootLog } from "./log.ts";
import { type OpenedQueries, openQueries } from "./open-queries.ts";
import { createRuntime, type Runtime } from "./runtime.ts";
import { Heartbeat } from "./service/heartbeat.ts";
import { notifyOf, watchdogMs } from "./service/notify.ts";
import { serviceLine, startLine } from "./service/service-line.ts";
import { MqttSources } from "./sources/mqtt.ts";
import type { Status } from "./status.ts";
import { type Running, statusOf } from "./status-of.ts";
import { Reader } from "./store/reader.ts";
import { Store } from "./store/store.ts";
import { type SupportBundle, supportBundle } from "./support/bundle.ts";
import type { RuntimeSpec } from "./unit.ts";
import { RETURNED, version } from "./version.ts";
import { Watch } from "./watch.ts";

export interface ComposeOptions {
  readonly loaded: LoadedConfig;
  readonly dataDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: RootLog;
  /** Something that the daemon can not go on without is gone. */
  readonly fail: (error: Error) => void;
  readonly usesLastGood: boolean;
}

export interface Composed {
  /** In the order in which they start. */
  readonly parts: readonly Component[];
  readonly status: () => Status;
  readonly prepared: Prepared;
  /** What the service manager is told; undefined: there is none. */
  readonly heartbeat: Heartbeat | undefined;
}

/** Builds every part of the daemon, in order; nothing is started yet. The map of the program. */
export async function compose(options: ComposeOptions): Promise<Composed> {
  const { loaded, dataDirectory, log, environment, usesLastGood } = options;
  const { gateway } = loaded.config;
  armCrashpoint(environment[CRASHPOINT]);
  mkdirSync(dataDirectory, { recursive: true, mode: 0o750 });
  const clock = systemClock();
  const watch = new Watch();
  const newId = createIds();
  const prepared = await prepare(loaded, { dataDirectory, bundled: bundledModels() });
  const store = createStore(options, clock);
  const authority = authorityOf(options, clock, store, newId);
  const { latch, modes } = authority;
  const inference = createInference(gateway, clock, log);
  const pressed = (isHigh: boolean): void => (isHigh ? bus.pause() : bus.resume());
  const door = createDoor({ gateway, prepared, clock, store, pressed });
  const asking = createAsking(options, {
    ...{ prepared, clock, newId, modes },
    publish: (...given) => commands.publish(...given),
  });
  const runtime: Runtime = createRuntime(specOf(prepared, gateway), {
    ...{ clock, log, store, inference, door, watch, newId, dataDirectory },
    random: Math.random,
    queries: asking.queries,
    proposals: { propose: (origin, proposed) => acting.propose(origin, proposed) },
  });
  const sources = new MqttSources(runtime.bindings, { clock, maxPayloadBytes: gateway.bus.maxPacketBytes });
  const bus = createBus(options, clock);
  const { acting, commands } = createActing({
    ...{ loaded, prepared, authority, store, bus, clock, log, environment, dataDirectory, newId, asking },
  });
  bus.subscribe(sources.subscriptions);
  bus.onMessage = (message) => sources.accept(message);
  const startedMs = clock.bootMs();
  const facts = { usesLastGood, returned: environment[RETURNED] };
  const running = { ...{ latch, modes, acting, prepared, store, clock }, inference, runtime, bus, ...facts };
  const ready = new Ready(log, dataDirectory, running);
  const status = (): Status => statusOf({ ...running, isReady: ready.isReady, uptimeMs: clock.bootMs() - startedMs });
  const reader = new Reader({ directory: dataDirectory, readerPath: childPath("daemon/store/reader-thread") });
  const bundle = (): Promise<SupportBundle> =>
    supportBundle({ clock, newId, reader, status, fleet: () => fleet?.state(), config: loaded.config });
  const linking = { clock, store, reader, newId, bundle };
  const { fleet, parts: fleetParts } = createFleet(options, linking, authority, () => people);
  const people = actionsForPeople(acting, (name) => prepared.tools.has(name));
  const verbs = authority.verbs(people, (asPerson) => fleetVerbs({ reader, fleet }, asPerson));
  const control = createControl({
    dataDirectory,
    log,
    status,
    watch,
    reader,
    verbs: { ...verbs, supportBundle: bundle },
  });
  const library = new Library(join(dataDirectory, "models"), bundledModels());
  const first = firstGeneration(prepared, { store, clock, log, newId, library });
  const heartbeat = createHeartbeat(options, { store, clock, status });
  return {
    heartbeat,
    parts: [
      ...(heartbeat === undefined ? [] : [heartbeat]),
      ...[authority.first, store, latch, modes, first, acting, inference],
      ...[asking.queries, runtime, bus, commands, acting.recovery],
      ...[runtime.ownSources, reader, ...fleetParts, control, ready],
    ],
    status,
    prepared,
  };
}

function specOf({ agents, digest }: Prepared, { device, store }: GatewayConfig): RuntimeSpec {
  return { agents, generation: digest, arm: "incumbent", device, rememberIds: store.rememberIds };
}

/** The last part: everything before it has started. */
class Ready implements Component {
  readonly name = "ready";
  readonly #log: Log;
  readonly #data: string;
  readonly #running: Pick<Running, "prepared" | "bus" | "store" | "modes">;
  isReady = false;

  constructor(log: Log, data: string, running: Pick<Running, "prepared" | "bus" | "store" | "modes">) {
    this.#log = log;
    this.#data = data;
    this.#running = running;
  }

  async start(): Promise<void> {
    this.isReady = true;
    const { prepared, bus, store, modes } = this.#running;
    const generation = prepared.digest.slice(0, 16);
    const { ordinal: epoch } = store.epoch();
    const mode = modes.effective();
    this.#log.info({ event: "ready", bus: bus.status().address, data: this.#data, mode, generation, epoch }, "ready");
  }

  async stop(): Promise<void> {
    this.isReady = false;
  }
}

/** Trials alone set it: where this process is to die. */
const CRASHPOINT = "HOLDFAST_TEST_CRASHPOINT";
/** What the store tells and nobody has to look after. */
const NEWS_OF_STORE = /^(?:store is open|quick_check )/;
const MEGABYTE = 1024 * 1024;
/** Rows that wait for a host: a few batches ahead. The rest waits at the door, where it can be coalesced or shed. */
const WAITING_FOR_ANSWERS = 512;
/** At 1,000 rows a second this makes two or three of them one run; the commit that follows waits longer anyway. */
const GATHER_MS = 2;

function createStore({ loaded, dataDirectory, log, fail, environment }: ComposeOptions, clock: Clock): Store {
  const note = (reason: string, problem: unknown): void => {
    const fields = { part: "store", reason, problem };
    if (NEWS_OF_STORE.test(reason)) log.info(fields, "store reports");
    else log.warn(fields, "store reports");
  };
  const writerPath = childPath("daemon/store/writer-thread");
  return new Store(
    { clock, fail, note },
    {
      ...{ ...loaded.config.gateway.store, directory: dataDirectory, writerPath },
      faults: { crashpoint: environment[CRASHPOINT] },
    },
  );
}

function createHeartbeat(
  { environment, log }: ComposeOptions,
  { store, clock, status }: { store: Store; clock: Clock; status: () => Status },
): Heartbeat | undefined {
  const notify = notifyOf(environment);
  if (notify === undefined) return undefined;
  return new Heartbeat(
    {
      notify,
      log,
      isOpening: () => store.state().condition !== "open",
      nowMs: () => clock.bootMs(),
      writer: () => store.control.state(),
      text: () => serviceLine(status()),
      starting: () => startLine(store.state()),
    },
    { watchdogMs: watchdogMs(environment) },
  );
}

function authorityOf(
  { loaded, dataDirectory, log }: ComposeOptions,
  clock: Clock,
  store: Store,
  newId: (wallMs: number) => string,
): Authority {
  const { gateway, generation } = loaded.config;
  return createAuthority(
    { dataDirectory, clock, store, log, newId, ownUid: process.getuid?.() ?? 0 },
    { gateway, agents: Object.keys(generation.agents), tools: generation.tools },
  );
}

function createBus({ loaded, dataDirectory, environment, log }: ComposeOptions, clock: Clock): Bus {
  const { bus: config, device } = loaded.config.gateway;
  return openBus({
    config,
    device: device.name,
    baseDirectory: loaded.baseDirectory,
    dataDirectory,
    environment,
    log: log.child({ part: "bus" }),
    clock,
  });
}

interface Linking {
  readonly clock: Clock;
  readonly store: Store;
  readonly reader: Reader;
  readonly newId: (wallMs: number) => string;
  readonly bundle: () => Promise<SupportBundle>;
}

interface Fleet {
  readonly fleet: FleetPart | undefined;
  readonly parts: readonly Component[];
}

/** The way to the fleet; without parts: there is none, and no connection is ever made. */
function createFleet(
  { loaded, environment, log, fail, dataDirectory }: ComposeOptions,
  deps: Linking,
  { people, verbsFor }: Authority,
  actions: () => Actions,
): Fleet {
  const { fleet: config } = loaded.config.gateway;
  if (config === undefined) return { fleet: undefined, parts: [] };
  const { baseDirectory } = loaded;
  const files = namedFiles({ environment, baseDirectory });
  const own = new IdentityFiles(dataDirectory);
  const { certificate = "" } = config.tls;
  const identity = resolve(baseDirectory, certificate) === resolve(own.paths.certificate) ? own : undefined;
  const logLevel = new LogLevel({ log, record: uplinkLog(deps).report, nowMs: () => deps.clock.wallMs() });
  const fleet = new FleetPart(
    {
      ...{ identity, ...deps, log: log.child({ part: "fleet" }), random: Math.random, files, fail, people },
      verbsFor: (person) =>
        verbsFor(actions(), person, (asPerson) => ({
          ...logLevelVerbs(logLevel, asPerson),
          ...supportVerbs(deps, asPerson),
        })),
    },
    config,
    gatewayName(loaded),
  );
  return { fleet, parts: [logLevel, fleet] };
}

interface Asking {
  readonly prepared: Prepared;
  readonly clock: Clock;
  readonly newId: (wallMs: number) => string;
  readonly modes: Authority["modes"];
  readonly publish: CommandBus["publish"];
}

/** What rules may ask of others. */
function createAsking({ loaded, environment, log }: ComposeOptions, { modes, ...rest }: Asking): OpenedQueries {
  const { config, baseDirectory } = loaded;
  return openQueries({
    ...rest,
    config,
    log,
    files: namedFiles({ environment, baseDirectory }),
    isOff: (tool) => modes.isOff("", tool) !== undefined,
  });
}

interface Doorway {
  readonly gateway: GatewayConfig;
  readonly prepared: Prepared;
  readonly clock: Clock;
  readonly store: Store;
  readonly pressed: (isHigh: boolean) => void;
}

function createDoor({ gateway, prepared, clock, store, pressed }: Doorway): Door {
  const { queue } = gateway.admission;
  // Only senders on the bus can be slowed down: an agent that watches the gateway itself leads nobody.
  const onBus = prepared.agents.filter(({ plan }) => plan.config.sources.some((source) => source.kind === "mqtt"));
  return new Door({
    limits: [queue.safety, queue.action, queue.monitor, queue.background],
    nowBootMs: () => clock.bootMs(),
    isBlocked: () => store.room() <= 0,
    leading: Math.min(3, ...onBus.map(({ plan }) => plan.priority)) as 0 | 1 | 2 | 3,
    onPressure: pressed,
  });
}

interface Answering {
  readonly dataDirectory: string;
  readonly log: Log;
  readonly status: () => Status;
  readonly watch: Watch;
  readonly reader: Reader;
  readonly verbs: Readonly<Record<string, Verb>>;
}

/** What commands may ask of the running daemon. */
function createControl({ dataDirectory, log, status, watch, reader, verbs: more }: Answering): ControlServer {
  const verbs: Readonly<Record<string, Verb>> = {
    ...more,
    status,
    events: async (_, item, signal) => await watch.follow(item, signal),
    page: (filter) => reader.page(pageFilter(filter)),
    record: async ({ id }) => (await reader.byId(String(id))) ?? null,
    actions: (filter) => reader.actions(actionFilter(filter)),
    actionsOf: (asked) => reader.actionsOf(decisionIds(asked)),
  };
  return new ControlServer({ path: socketPath(dataDirectory), version: version(), log, verbs });
}

function createInference({ hosts, store }: GatewayConfig, clock: Clock, log: Log): Inference {
  return new Inference(
    { hostPath: childPath("models/host/main"), clock, log: log.child({ part: "inference" }) },
    {
      memoryBytes: hosts.memoryMb * MEGABYTE,
      laneMemoryBytes: laneLimits(hosts.lanes),
      recycleAfterLoads: hosts.recycleAfterLoads,
      startTimeoutMs: hosts.startTimeoutSeconds * 1000,
      queueLimit: WAITING_FOR_ANSWERS,
      // Where commits may wait, rows may wait a little for each other too.
      gatherMs: store.commitDelayMs > 0 ? GATHER_MS : 0,
    },
  );
}

function laneLimits(
  lanes: Readonly<Record<string, { readonly memoryMb?: number | undefined }>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(lanes).flatMap(([name, lane]) =>
      lane.memoryMb === undefined ? [] : [[name, lane.memoryMb * MEGABYTE]],
    ),
  );
}
