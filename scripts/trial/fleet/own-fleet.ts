import { type ChildProcess, execFile, spawn } from "node:child_process";
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { childPath } from "../../../daemon/children.ts";
import type { Database } from "../../../fleet/database.ts";
import { openPglite } from "../../../fleet/pglite.ts";
import { becomes } from "../claims.ts";

const START_MS = 30_000;
const STOP_MS = 30_000;

interface Options {
  readonly folder: string;
  /** Under which gateways find the broker. */
  readonly host: string;
  readonly port: number;
  /** What processes are put behind that have to run elsewhere. */
  readonly within?: readonly string[];
}

/** A fleet as its commands make it: mosquitto with TLS and rights by name, a collector with an embedded database. */
export class OwnFleet {
  readonly folder: string;
  readonly #options: Options;
  readonly #children: ChildProcess[] = [];

  constructor(options: Options) {
    this.folder = options.folder;
    this.#options = options;
  }

  async start(): Promise<void> {
    const { host, port } = this.#options;
    mkdirSync(this.folder, { recursive: true });
    await this.fleet("init", "--fleet", "north", "--broker-host", host, "--port", String(port));
    const conf = join("broker", "mosquitto.conf");
    // As root it would become a user who may not read this folder.
    appendFileSync(join(this.folder, conf), "user root\n");
    await this.#serve(["mosquitto", "-c", conf], "running");
    await this.#serve(
      [process.execPath, childPath("fleet/main"), "serve", "--role", "collector"],
      "collects from the broker",
    );
  }

  /** A command of the fleet's end. */
  async fleet(...args: readonly string[]): Promise<string> {
    const command = [childPath("fleet/main"), ...args];
    return (await promisify(execFile)(process.execPath, command, { cwd: this.folder })).stdout;
  }

  get isRunning(): boolean {
    return this.#children.every((one) => !hasEnded(one));
  }

  async stop(): Promise<void> {
    for (const one of [...this.#children].reverse()) {
      one.kill("SIGTERM");
      if (!(await becomes(() => hasEnded(one), STOP_MS))) one.kill("SIGKILL");
    }
  }

  /** What the collector has, once it has ended. */
  async database(): Promise<Database> {
    return await openPglite(join(this.folder, ".holdfast-fleet", "database"));
  }

  async #serve(command: readonly string[], ready: string): Promise<void> {
    const [first = "", ...args] = [...(this.#options.within ?? []), ...command];
    const child = spawn(first, args, {
      ...{ cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] },
      env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` },
    });
    this.#children.push(child);
    let said = "";
    const hear = (piece: Buffer): void => {
      if (!said.includes(ready)) said += piece.toString();
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    await becomes(() => said.includes(ready) || hasEnded(child), START_MS);
    if (!said.includes(ready) || hasEnded(child)) throw new Error(`${command.join(" ")}: ${said}`);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
