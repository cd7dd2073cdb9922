import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { callAsPerson } from "../../../daemon/api/control-client.ts";
import { type Clock, systemClock } from "../../../daemon/clock.ts";
import { becomes, type Claims, ledgersBalance, sleep } from "../claims.ts";
import {
  freePort,
  type LaunchedDaemon,
  launchDaemon,
  type Mosquitto,
  type RunningDaemon,
  startMosquitto,
} from "../daemon.ts";
import { SmallDisk } from "../small-disk.ts";
import { writeConfiguration } from "./configuration.ts";
import { FakeTime } from "./fake-time.ts";
import { Gathered } from "./gathered.ts";
import { LedgerProcess } from "./ledger-process.ts";
import { keysOf, Sensors } from "./sensors.ts";
import { Story } from "./story.ts";

const READY_MS = 60_000;
const IN_FLIGHT = 1000;
const DISK_MB = 384;
const LEFT_BYTES = 2_000_000;

export interface SiteOptions {
  readonly claims: Claims;
  readonly random: () => number;
  readonly perSecond: number;
  readonly fakesTime: boolean;
  /** An agent asks a model. */
  readonly hasModel: boolean;
}

/** A gateway with its broker, its sensors and the ledger: everything that a fault may hit. */
export class Site {
  readonly folder: string;
  readonly data: string;
  readonly story = new Story();
  readonly gathered = new Gathered();
  readonly clock: Clock = systemClock();
  readonly random: () => number;
  readonly #options: SiteOptions;
  readonly #disk: SmallDisk | undefined;
  readonly time: FakeTime | undefined;
  #config = "";
  #broker: Mosquitto | undefined;
  #ledger: LedgerProcess | undefined;
  #sensors: Sensors | undefined;
  #launched: LaunchedDaemon | undefined;
  #armed: string | undefined;

  constructor(folder: string, options: SiteOptions) {
    this.folder = folder;
    this.#options = options;
    this.random = options.random;
    this.#disk = process.getuid?.() === 0 ? new SmallDisk(folder, DISK_MB, "tmpfs") : undefined;
    this.data = join(this.#disk?.folder ?? folder, "data");
    this.time = options.fakesTime ? FakeTime.inFolder(folder) : undefined;
  }

  get ledger(): LedgerProcess {
    if (this.#ledger === undefined) throw new Error("there is no ledger yet");
    return this.#ledger;
  }

  get canFill(): boolean {
    return this.#disk !== undefined;
  }

  nowMs(): number {
    return this.clock.bootMs();
  }

  async start(): Promise<void> {
    const port = await freePort();
    this.#broker = await startMosquitto(this.folder, IN_FLIGHT, port);
    this.#ledger = await LedgerProcess.start(this.folder, port, this.data, keysOf("tight"));
    const { hasModel } = this.#options;
    const ledgerPort = this.#ledger.port;
    this.#config = writeConfiguration({ folder: this.folder, brokerPort: port, ledgerPort, hasModel });
    this.launch();
    await this.ready();
    await this.#ledger.look(true);
    this.#sensors = new Sensors(port, hasModel);
    await this.#sensors.start(this.#options.perSecond);
  }

  /** Starts the daemon. `armed`: the point at which it dies by itself. */
  launch(armed?: string): void {
    const variables = [
      ...(armed === undefined ? [] : [`HOLDFAST_TEST_CRASHPOINT=${armed}`]),
      ...(this.time?.variables() ?? []),
    ];
    const launched = launchDaemon(this.#config, this.data, variables.length === 0 ? [] : ["env", ...variables]);
    this.#launched = launched;
    this.#armed = armed;
    this.story.starts += 1;
    launched.ready.catch((error: Error) => {
      const isKilled = launched.child.signalCode === "SIGKILL";
      this.#options.claims.holds(isKilled, `the daemon ended by itself: ${error.message.slice(0, 2000)}`);
    });
  }

  get isAlive(): boolean {
    const child = this.#launched?.child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  get armed(): string | undefined {
    return this.#armed;
  }

  get isArmed(): boolean {
    return this.#armed !== undefined;
  }

  holds(held: boolean, sentence: string): void {
    this.#options.claims.holds(held, sentence);
  }

  /** The daemon, running: started again when it died meanwhile. */
  async ready(): Promise<RunningDaemon> {
    const untilMs = performance.now() + READY_MS;
    for (;;) {
      if (!this.isAlive) {
        const { exitCode, signalCode } = this.#launched?.child ?? {};
        const isMeant = signalCode === "SIGKILL" && this.#armed !== undefined;
        if (!isMeant) throw new Error(`the daemon ended by itself: ${exitCode ?? signalCode}`);
        this.launch();
      }
      const launched = this.#launched as LaunchedDaemon;
      const late = sleep(Math.max(0, untilMs - performance.now())).then(() => "late" as const);
      const running = await Promise.race([launched.ready.catch(() => undefined), late]);
      if (running === "late") throw new Error(`the daemon is not ready within ${READY_MS / 1000} s`);
      if (running !== undefined && this.isAlive) return running;
      await sleep(10);
    }
  }

  async kill(): Promise<void> {
    const child = this.#launched?.child;
    if (child === undefined || !this.isAlive) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** kill -9 of the hosts alone. False: there are none. */
  killHosts(): boolean {
    const pid = this.#launched?.child.pid;
    if (!this.#options.hasModel || pid === undefined || !this.isAlive) return false;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean);
    const hosts = children.filter((child) => commandOf(child).includes("models/host/main"));
    for (const host of hosts) process.kill(Number(host), "SIGKILL");
    return hosts.length > 0;
  }

  /** Waits until it has died at the point for which it is armed. False: it has not come there in time. */
  async diesWithin(limitMs: number): Promise<boolean> {
    return await becomes(() => !this.isAlive, limitMs);
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    if (this.isAlive) this.#launched?.child.kill(name);
  }

  /** SIGSTOP for a while. */
  async held(forMs: number): Promise<void> {
    const fromMs = this.nowMs();
    this.signal("SIGSTOP");
    await sleep(forMs);
    this.signal("SIGCONT");
    this.story.held.push({ fromMs, untilMs: this.nowMs() });
  }

  /** Asks as the person who runs this. Undefined when the daemon died over it. */
  async ask(verb: string, parameters: Record<string, unknown> = {}): Promise<unknown> {
    await this.ready();
    try {
      return await callAsPerson({ dataDirectory: this.data, verb, parameters });
    } catch (error) {
      // An armed daemon may die a moment after its socket did.
      if (!this.isAlive || (this.isArmed && (await this.diesWithin(1000)))) return undefined;
      throw error;
    }
  }

  /** Asks the daemon, and the next one when it dies over that. */
  async tell<T>(work: (daemon: RunningDaemon) => Promise<T>): Promise<T> {
    for (;;) {
      const daemon = await this.ready();
      try {
        return await work(daemon);
      } catch (error) {
        if (this.isAlive && !(this.isArmed && (await this.diesWithin(1000)))) throw error;
      }
    }
  }

  async killBroker(): Promise<void> {
    const broker = this.#broker;
    if (broker === undefined) return;
    const gone = once(broker.child, "exit");
    broker.child.kill("SIGKILL");
    await gone;
  }

  async startBroker(): Promise<void> {
    this.#broker = await startMosquitto(this.folder, IN_FLIGHT, this.#broker?.port);
  }

  signalBroker(name: "SIGSTOP" | "SIGCONT"): void {
    this.#broker?.child.kill(name);
  }

  fillDisk(): void {
    this.#disk?.fillTo(this.random() < 0.5 ? 0 : LEFT_BYTES);
  }

  freeDisk(): void {
    this.#disk?.free();
  }

  /** A copy of the databases of a daemon that is not running, as a backup has them. */
  async snapshot(): Promise<void> {
    await this.ledger.look(false);
    const to = join(this.folder, "backup");
    rmSync(to, { recursive: true, force: true });
    mkdirSync(to);
    for (const file of readdirSync(this.data))
      if (/^(?:records|control)\.db(?:-wal|\.bak)?$/.test(file)) cpSync(join(this.data, file), join(to, file));
    await this.ledger.look(true);
  }

  get hasSnapshot(): boolean {
    return existsSync(join(this.folder, "backup"));
  }

  /** Kills the daemon, puts a backup in the place of its databases, and starts it again. */
  async restore(which: "records" | "control" | "both"): Promise<void> {
    const from = join(this.folder, "backup");
    await this.ledger.look(false);
    await this.kill();
    if (which !== "control") this.gathered.take(join(this.data, "records.db"));
    for (const name of which === "both" ? ["records", "control"] : [which]) {
      const isOf = (file: string): boolean => file.startsWith(`${name}.db`);
      for (const file of readdirSync(this.data).filter(isOf)) rmSync(join(this.data, file));
      for (const file of readdirSync(from).filter(isOf)) cpSync(join(from, file), join(this.data, file));
    }
    if (which !== "control") this.gathered.wentBackTo(join(this.data, "records.db"));
    // What the daemon that was killed sent is looked up in the database that it wrote, so only after that.
    await this.ledger.fence();
    this.launch();
    await this.ready();
    await this.ledger.look(true);
  }

  /** Nothing new comes; what is under way comes to its end; the daemon leaves in order. */
  async finish(): Promise<void> {
    const { claims } = this.#options;
    await this.#sensors?.stop();
    this.story.sent += this.#sensors?.sent ?? 0;
    let quiet = 0;
    const isQuiet = await becomes(async () => {
      const { actions, deliveries, passes } = await this.tell((daemon) => daemon.status());
      quiet = actions.running + deliveries.queued + passes.inFlight === 0 ? quiet + 1 : 0;
      await sleep(100);
      return quiet > 8;
    }, 60_000);
    claims.holds(isQuiet, "actions were still under way a minute after the last message");
    await this.ledger.fence();
    await this.ledger.look(false);
    const status = await this.tell((daemon) => daemon.status());
    claims.holds(ledgersBalance(status), `the ledgers do not balance: ${JSON.stringify(status.deliveries)}`);
    claims.holds((await (await this.ready()).stop()) === 0, "the daemon did not stop in order");
    this.gathered.take(join(this.data, "records.db"));
  }

  async end(): Promise<void> {
    this.signal("SIGCONT");
    this.signalBroker("SIGCONT");
    await this.#sensors?.stop();
    await this.kill();
    await this.#ledger?.end();
    await this.#broker?.stop();
    this.#disk?.remove();
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    // It has ended by itself.
    return "";
  }
}
