import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childPath } from "../../daemon/children.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { freePort, type RunningDaemon, startDaemon } from "../../scripts/trial/daemon.ts";

const FLEET = childPath("fleet/main");
const HOLDFAST = childPath("daemon/main");
/** A collector that makes its embedded database has a lot to do. */
const STARTS_WITHIN_MS = 150_000;

/** A process that serves, with what it has said so far. */
export interface Serving {
  readonly child: ChildProcess;
  said(): string;
  end(signal?: NodeJS.Signals): Promise<void>;
}

export async function serving(
  command: string,
  args: readonly string[],
  folder: string,
  ready: string,
  environment = {},
): Promise<Serving> {
  const child = spawn(command, args, { cwd: folder, env: { ...process.env, ...environment } });
  let text = "";
  child.stdout?.on("data", (piece: Buffer) => (text += piece.toString()));
  child.stderr?.on("data", (piece: Buffer) => (text += piece.toString()));
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const end = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    child.kill(signal);
    await becomes(isOver, 60_000);
  };
  if (!(await becomes(() => text.includes(ready) || isOver(), STARTS_WITHIN_MS)) || isOver()) {
    await end("SIGKILL");
    throw new Error(`${command} ${args.join(" ")}: ${text}`);
  }
  return { child, said: () => text, end };
}

/** A fleet on this machine: a broker, a collector with an embedded database, and gateways. */
export class FleetSite {
  readonly folder = mkdtempSync(join(tmpdir(), "holdfast-fleetsite-"));
  readonly #ends: (() => Promise<unknown>)[] = [];
  brokerPort = 0;

  async startBroker(): Promise<Serving> {
    if (this.brokerPort === 0) this.brokerPort = await freePort();
    const lines = [`listener ${this.brokerPort} 127.0.0.1`, "allow_anonymous true", "max_queued_messages 10000"];
    writeFileSync(join(this.folder, "mosquitto.conf"), `${lines.join("\n")}\n`);
    const broker = await serving("mosquitto", ["-c", "mosquitto.conf"], this.folder, "running");
    this.#ends.push(() => broker.end());
    return broker;
  }

  async startCollector(more: Readonly<Record<string, unknown>> = {}, environment = {}): Promise<Serving> {
    const config = { fleet: "north", brokers: [`mqtt://127.0.0.1:${this.brokerPort}`], ...more };
    writeFileSync(join(this.folder, "holdfast-fleet.yaml"), JSON.stringify(config));
    const collector = await serving(
      process.execPath,
      [FLEET, "serve"],
      this.folder,
      "collects from the broker",
      environment,
    );
    this.#ends.push(() => collector.end());
    return collector;
  }

  /** A gateway that decides about each reading of `sensor/{k}`. */
  async startGateway(name: string, more: Readonly<Record<string, unknown>> = {}, busPort?: number) {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    const port = busPort ?? (await freePort());
    const source = { kind: "mqtt", topic: "sensor/{k}", key: "k", fields: { v: { min: 0, max: 1 } } };
    const config = {
      device: { name },
      bus: { kind: "embedded", port },
      mode: "observe",
      agents: {
        one: { sources: [source], record: { quiet: "all" }, rules: [{ id: "up", when: "event.fields.v > 0.5" }] },
      },
      ...more,
      fleet: {
        name: "north",
        brokers: [`mqtt://127.0.0.1:${this.brokerPort}`],
        firstWithinSeconds: 0,
        ...(more["fleet"] as object),
      },
    };
    writeFileSync(join(folder, "holdfast.yaml"), JSON.stringify(config));
    const data = join(folder, "data");
    const daemon: RunningDaemon = await startDaemon(join(folder, "holdfast.yaml"), data);
    this.#ends.push(async () => daemon.kill());
    return { daemon, data, port, config: join(folder, "holdfast.yaml") };
  }

  /** What a command of the fleet's end prints. */
  fleet(...args: readonly string[]): string {
    return this.#ran(FLEET, args);
  }

  holdfast(...args: readonly string[]): string {
    return this.#ran(HOLDFAST, args);
  }

  async close(): Promise<void> {
    for (const end of this.#ends.reverse()) await end().catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #ran(program: string, args: readonly string[]): string {
    const done = spawnSync(process.execPath, [program, ...args], { cwd: this.folder, encoding: "utf8" });
    if (done.status !== 0 && done.stdout === "") throw new Error(done.stderr);
    return done.stdout;
  }
}
