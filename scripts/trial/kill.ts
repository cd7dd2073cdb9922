import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { becomes, Claims, ledgersBalance, sleep, spread } from "./claims.ts";
import {
  freePort,
  type LaunchedDaemon,
  launchDaemon,
  type Mosquitto,
  type RunningDaemon,
  startMosquitto,
  temporaryFolder,
} from "./daemon.ts";
import { busOf, fixtureModel } from "./fixtures.ts";
import { checkLog } from "./kill-check.ts";
import { pumpConfig, Readings } from "./pumps.ts";
import { createRandom } from "./random.ts";
import { paced, Sensor } from "./sensor.ts";
import type { Trial, TrialOptions } from "./trial.ts";

type BusKind = "embedded" | "external";
type Victim = "daemon" | "host" | "both";

const ROUNDS = 200;
const SEED = 20_231;
const PER_SECOND = 1000;
const SHORTEST_MS = 50;
const LONGEST_MS = 1200;
const WORK_WAIT_MS = 10_000;
const STATUS_EVERY_MS = 150;
const HOST_WAIT_MS = 3000;
const HOSTS_END_MS = 30_000;
const READY_WAIT_MS = 120_000;
const DRAIN_MS = 300_000;
const QUIET_MS = 1500;

/** Daemon, host or both are killed at random moments while messages come in; nothing acknowledged may be missing. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  const buses: readonly BusKind[] = options.bus === undefined ? ["external", "embedded"] : [options.bus];
  for (const bus of buses) await killOn(bus, options, claims);
  return claims.result();
};

async function killOn(bus: BusKind, options: TrialOptions, claims: Claims): Promise<void> {
  const folder = temporaryFolder(`kill-${bus}`);
  const broker: Mosquitto | undefined = bus === "external" ? await startMosquitto(folder) : undefined;
  const port = broker?.port ?? (await freePort());
  const config = join(folder, "holdfast.yaml");
  const data = join(folder, "data");
  writeFileSync(config, JSON.stringify(pumpConfig(busOf(bus, port), fixtureModel("linear"))));
  const target = new Target(config, data, bus, claims);
  try {
    await target.ready();
    const sensor = await new Sensor(port, "pumps").open();
    const readings = new Readings(sensor);
    const sending = paced(PER_SECOND, () => readings.isOver, readings.send);
    const kills = await killAtRandom(target, options);
    readings.isOver = true;
    await sending;
    claims.holds(
      await sensor.settled(DRAIN_MS),
      `${bus}: ${sensor.unacknowledged} messages were not acknowledged at the end`,
    );
    sensor.close();
    await target.drained();
    claims.holds((await target.stop()) === 0, `${bus}: the daemon did not stop in order`);
    report(bus, kills, target, readings, claims);
    await target.leftHosts();
    checkLog({ bus, data, acknowledged: readings.acknowledged, sent: readings.sent, killed: kills.daemons, claims });
  } finally {
    await target.end();
    await broker?.stop();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}

/** The daemon that is killed and started again, with all hosts it ever had. */
class Target {
  readonly hosts = new Set<number>();
  readonly #config: string;
  readonly #data: string;
  readonly #bus: BusKind;
  readonly #claims: Claims;
  #launched: LaunchedDaemon;
  #running: RunningDaemon | undefined;
  #isOver = false;
  readonly #watching: Promise<void>;
  readonly startMs: number[] = [];
  asked = 0;

  constructor(config: string, data: string, bus: BusKind, claims: Claims) {
    this.#config = config;
    this.#data = data;
    this.#bus = bus;
    this.#claims = claims;
    this.#launched = this.#launch();
    this.#watching = this.#watch();
  }

  get isReady(): boolean {
    return this.#running !== undefined;
  }

  async ready(): Promise<RunningDaemon> {
    this.#claims.holds(
      await becomes(() => this.#running !== undefined, READY_WAIT_MS),
      `${this.#bus}: the daemon was not ready within ${READY_WAIT_MS / 1000} s`,
    );
    if (this.#running === undefined) throw new Error("the daemon does not get ready");
    return this.#running;
  }

  /** Kills the host alone; the daemon may have to come so far first. */
  async killHost(): Promise<boolean> {
    await becomes(() => this.#children().length > 0, HOST_WAIT_MS);
    return killEach(this.#children());
  }

  async killDaemon(withHost: boolean): Promise<void> {
    const { child } = this.#launched;
    const hosts = this.#children();
    const gone = new Promise((resolve) => child.once("exit", resolve));
    this.#running = undefined;
    child.kill("SIGKILL");
    if (withHost) killEach(hosts);
    await gone;
    this.#launched = this.#launch();
  }

  /** Waits until nothing more comes and nothing waits. */
  async drained(): Promise<void> {
    const daemon = await this.ready();
    let before = -1;
    const isDrained = await becomes(async () => {
      const { sinceStart, deliveries, passes, bus } = await daemon.status();
      const isSame = sinceStart.deliveries === before;
      before = sinceStart.deliveries;
      await sleep(QUIET_MS);
      return isSame && bus.connected && deliveries.queued + passes.inFlight + bus.heldAcknowledgements === 0;
    }, DRAIN_MS);
    this.#claims.holds(isDrained, `${this.#bus}: the daemon was not done ${DRAIN_MS / 1000} s after the last message`);
  }

  async stop(): Promise<number | null> {
    this.#isOver = true;
    await this.#watching;
    return await (await this.ready()).stop();
  }

  async leftHosts(): Promise<void> {
    const isGone = await becomes(() => ![...this.hosts].some(isHost), HOSTS_END_MS);
    const left = [...this.hosts].filter(isHost);
    this.#claims.figure(`${this.#bus}: hosts seen, left behind`, `${this.hosts.size}, ${left.length}`);
    this.#claims.holds(isGone, `${this.#bus}: hosts were left behind: ${left.join(", ")}`);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    this.#launched.child.kill("SIGKILL");
    await this.#watching;
  }

  #launch(): LaunchedDaemon {
    const launched = launchDaemon(this.#config, this.#data);
    const launchedMs = performance.now();
    launched.ready.then(
      (running) => {
        this.startMs.push(performance.now() - launchedMs);
        if (launched === this.#launched) this.#running = running;
      },
      (error: Error) => {
        const isOurs = launched.child.signalCode === "SIGKILL";
        this.#claims.holds(isOurs || this.#isOver, `${this.#bus}: ${error.message.slice(0, 2000)}`);
      },
    );
    return launched;
  }

  /** Asks whoever runs for the status; the answer may fail to come, but not to balance. */
  async #watch(): Promise<void> {
    for (; !this.#isOver; await sleep(STATUS_EVERY_MS)) {
      const status = await this.#running?.status().catch(() => undefined);
      if (status === undefined) continue;
      this.asked += 1;
      const { deliveries, passes } = status;
      this.#claims.holds(
        ledgersBalance(status),
        `${this.#bus}: the ledgers do not balance: ${JSON.stringify({ deliveries, passes })}`,
      );
    }
  }

  #children(): number[] {
    const { pid } = this.#launched.child;
    try {
      const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean).map(Number);
      for (const host of pids) this.hosts.add(host);
      return pids;
    } catch {
      // The daemon is gone.
      return [];
    }
  }
}

function killEach(pids: readonly number[]): boolean {
  let killed = false;
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
      killed = true;
    } catch {
      // It ended with its daemon in this moment.
    }
  }
  return killed;
}

function isHost(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("models/host/main");
  } catch {
    // No such process.
    return false;
  }
}

interface Kills {
  readonly of: Record<Victim, number>;
  daemons: number;
  beforeReady: number;
  seconds: number;
}

async function killAtRandom(target: Target, options: TrialOptions): Promise<Kills> {
  const random = createRandom(SEED);
  const rounds = options.rounds ?? ROUNDS;
  const kills: Kills = { of: { daemon: 0, host: 0, both: 0 }, daemons: 0, beforeReady: 0, seconds: 0 };
  const startedMs = performance.now();
  for (let round = 1; round <= rounds; round++) {
    // Half of the moments are any, in the middle of a start too; half are within the work that follows it.
    if (random() < 0.5) await becomes(() => target.isReady, WORK_WAIT_MS);
    await sleep(SHORTEST_MS + random() * (LONGEST_MS - SHORTEST_MS));
    const victim = (["daemon", "host", "both"] as const)[Math.floor(random() * 3)] as Victim;
    if (!target.isReady) kills.beforeReady += 1;
    if (victim === "host") await target.killHost();
    else {
      kills.daemons += 1;
      await target.killDaemon(victim === "both");
    }
    kills.of[victim] += 1;
    if (round % 10 === 0) options.say(`round ${round} of ${rounds}`);
  }
  kills.seconds = (performance.now() - startedMs) / 1000;
  return kills;
}

function report(bus: BusKind, kills: Kills, target: Target, readings: Readings, claims: Claims): void {
  const { daemon, host, both } = kills.of;
  claims.figure(
    `${bus}: killed daemon, host, both; before it was ready`,
    `${daemon}, ${host}, ${both}; ${kills.beforeReady}`,
  );
  const perSecond = Math.round(readings.sent / kills.seconds);
  claims.figure(
    `${bus}: messages sent, acknowledged, a second`,
    `${readings.sent}, ${readings.acknowledged.size}, ${perSecond} (${Math.round(kills.seconds)} s, ${readings.heldBack} held back)`,
  );
  claims.figure(`${bus}: status asked in between`, target.asked);
  claims.figure(`${bus}: from the start to ready, ms`, spread(target.startMs));
}
