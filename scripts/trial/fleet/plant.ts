import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type MqttClient } from "mqtt";
import { freePort, launchDaemon, type RunningDaemon } from "../daemon.ts";
import { type Extent, extentsIn } from "./extents.ts";
import { Line } from "./line.ts";

const EVERY_MS = 50;

/** A gateway with a sensor of its own and a line of its own to the broker. */
export class Plant {
  readonly name: string;
  readonly data: string;
  readonly line: Line;
  readonly #folder: string;
  readonly #rate: number;
  readonly #maxBytes: number;
  #port = 0;
  #daemon: RunningDaemon | undefined;
  #sensor: MqttClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #owed = 0;
  #measured = 0;
  starts = 0;

  constructor(folder: string, name: string, brokerPort: number, rate: number, maxBytes: number) {
    this.name = name;
    this.#folder = join(folder, name);
    this.data = join(this.#folder, "data");
    this.#rate = rate;
    this.#maxBytes = maxBytes;
    this.line = new Line(brokerPort);
  }

  async start(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    this.#port = await freePort();
    await this.line.start();
    const source = { kind: "mqtt", topic: "sensor/{k}", key: "k", fields: { v: { min: 0, max: 1 } } };
    const config = {
      device: { name: this.name },
      ...{ bus: { kind: "embedded", port: this.#port }, mode: "observe" },
      store: { maxBytes: this.#maxBytes },
      agents: {
        one: { sources: [source], record: { quiet: "all" }, rules: [{ id: "up", when: "event.fields.v > 0.9" }] },
      },
      fleet: {
        ...{ name: "north", brokers: [`mqtt://127.0.0.1:${this.line.port}`] },
        ...{ firstWithinSeconds: 0, reconnectWithinSeconds: 2, keepaliveSeconds: 10 },
      },
    };
    writeFileSync(join(this.#folder, "holdfast.yaml"), JSON.stringify(config));
    await this.run();
    this.#timer = setInterval(() => this.#measure(), EVERY_MS);
  }

  async run(): Promise<void> {
    this.starts += 1;
    this.#daemon = await launchDaemon(join(this.#folder, "holdfast.yaml"), this.data).ready;
    this.#sensor = connect({
      host: "127.0.0.1",
      port: this.#port,
      protocolVersion: 4,
      reconnectPeriod: 200,
      queueQoSZero: false,
    });
    this.#sensor.on("error", () => undefined);
  }

  async kill(): Promise<void> {
    this.#sensor?.end(true);
    await this.#daemon?.kill();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#sensor?.end(true);
    await this.#daemon?.stop();
    await this.line.stop();
  }

  /** No more readings; what is under way is decided. */
  quiet(): void {
    clearInterval(this.#timer);
  }

  /** A copy of the databases while nobody runs, as a backup is. */
  copyTo(name: string): void {
    const to = `${this.data}-${name}`;
    rmSync(to, { recursive: true, force: true });
    // The control socket is no file to copy.
    cpSync(this.data, to, { recursive: true, filter: (from) => !from.endsWith(".sock") });
  }

  hasCopy(name: string): boolean {
    return existsSync(`${this.data}-${name}`);
  }

  /** Puts the copy in the place of what is there. */
  restoreFrom(name: string): void {
    rmSync(this.data, { recursive: true });
    cpSync(`${this.data}-${name}`, this.data, { recursive: true });
  }

  /** What the log has; while no daemon runs. */
  extents(): Map<string, Extent> {
    return extentsIn(this.data);
  }

  #measure(): void {
    const sensor = this.#sensor;
    if (sensor?.connected !== true) return;
    this.#owed += (this.#rate * EVERY_MS) / 1000;
    for (; this.#owed >= 1; this.#owed -= 1) {
      this.#measured += 1;
      sensor.publish(`sensor/s${this.#measured % 5}`, `{"v":${((this.#measured * 7) % 100) / 100}}`, { qos: 0 });
    }
  }
}
