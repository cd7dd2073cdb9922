import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { childPath } from "../../../daemon/children.ts";
import type { Database } from "../../../fleet/database.ts";
import { openPglite } from "../../../fleet/pglite.ts";
import { openPostgres } from "../../../fleet/postgres.ts";
import { becomes } from "../claims.ts";
import { freePort, type Mosquitto, startMosquitto } from "../daemon.ts";
import { type OwnPostgres, type PostgresPlace, startPostgres } from "./postgres.ts";

/** The fleet's end: a broker, a database, and collectors that come and go. */
export class Centre {
  readonly #folder: string;
  readonly #collectors: ChildProcess[] = [];
  readonly isEmbedded: boolean;
  readonly #place: PostgresPlace;
  #postgres: OwnPostgres | undefined;
  #broker: Mosquitto | undefined;
  brokerPort = 0;

  constructor(folder: string, isEmbedded: boolean, postgres: PostgresPlace = {}) {
    this.#folder = folder;
    this.isEmbedded = isEmbedded;
    this.#place = postgres;
  }

  get #log(): string {
    return join(this.#folder, "collector.log");
  }

  get running(): number {
    return this.#collectors.filter((one) => one.exitCode === null && one.signalCode === null).length;
  }

  get pids(): number[] {
    return this.#collectors.flatMap((one) => one.pid ?? []);
  }

  async start(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    this.brokerPort = await freePort();
    await this.startBroker();
    if (!this.isEmbedded) this.#postgres = await startPostgres(this.#place);
    const database = this.#postgres?.url ?? "pglite://database";
    const config = { fleet: "north", brokers: [`mqtt://127.0.0.1:${this.brokerPort}`], database };
    writeFileSync(join(this.#folder, "holdfast-fleet.yaml"), JSON.stringify(config));
    this.startCollector();
  }

  /** A collector has subscribed. */
  async ready(): Promise<void> {
    const isReady = (): boolean => this.said("collects from the broker") > 0;
    if (!(await becomes(isReady, 30_000))) throw new Error(readFileSync(this.#log, "utf8"));
  }

  /** How many lines of the collectors' log have this in them. */
  said(text: string): number {
    return linesWith(text, this.#log);
  }

  /** The same of PostgreSQL's. */
  databaseSaid(text: string): number {
    return this.#place.log === undefined ? 0 : linesWith(text, this.#place.log);
  }

  async startBroker(): Promise<void> {
    this.#broker = await startMosquitto(this.#folder, 20, this.brokerPort);
  }

  async killBroker(): Promise<void> {
    this.#broker?.child.kill("SIGKILL");
    await becomes(() => this.#broker?.child.signalCode !== null, 5000);
  }

  async killDatabase(): Promise<void> {
    await this.#postgres?.kill();
  }

  /** Its write-ahead log needs room from here on. */
  async exhaustDatabaseLog(): Promise<void> {
    await this.#postgres?.exhaustLog();
  }

  /** Gives whether it had ended. */
  async reviveDatabase(): Promise<boolean> {
    return (await this.#postgres?.revive()) ?? false;
  }

  async startDatabase(): Promise<void> {
    await this.#postgres?.start();
  }

  /** `dieAfter`: so many commits, and before the acknowledgement. */
  startCollector(dieAfter = 0): void {
    const log = openSync(this.#log, "a");
    const environment = dieAfter > 0 ? { HOLDFAST_TEST_DIE_AFTER_COMMITS: String(dieAfter) } : {};
    const child = spawn(process.execPath, [childPath("fleet/main"), "serve"], {
      ...{ cwd: this.#folder, stdio: ["ignore", log, log] },
      env: { ...process.env, ...environment },
    });
    this.#collectors.push(child);
  }

  async killCollectors(): Promise<void> {
    for (const one of this.#collectors) one.kill("SIGKILL");
    await becomes(() => this.running === 0, 5000);
    this.#collectors.length = 0;
  }

  async stop(): Promise<void> {
    for (const one of this.#collectors) one.kill("SIGTERM");
    await becomes(() => this.running === 0, 20_000);
    await this.#broker?.stop();
  }

  /** Whatever runs is ended, and at once. */
  end(): void {
    for (const one of this.#collectors) one.kill("SIGKILL");
    this.#broker?.child.kill("SIGKILL");
    this.#postgres?.end();
  }

  /** The database itself, once no collector runs. */
  async database(): Promise<Database> {
    return this.#postgres === undefined
      ? await openPglite(join(this.#folder, "database"))
      : openPostgres(this.#postgres.url, undefined);
  }

  async stopDatabase(): Promise<void> {
    await this.#postgres?.stop();
  }
}

function linesWith(text: string, file: string): number {
  if (!existsSync(file)) return 0;
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.includes(text)).length;
}
