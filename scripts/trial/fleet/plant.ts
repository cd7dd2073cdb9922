import type { ChildProcess } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type MqttClient } from "mqtt";
import { callDaemon } from "../../../daemon/api/control-client.ts";
import type { Outbox } from "../../../daemon/fleet/outbox.ts";
import { FakeTime } from "../act/fake-time.ts";
import { sleep } from "../claims.ts";
import { freePort, launchDaemon, type RunningDaemon } from "../daemon.ts";
import type { SmallDisk } from "../small-disk.ts";
import { Line } from "./line.ts";

const EVERY_MS = 50;

export interface PlantOptions {
  readonly folder: string;
  readonly name: string;
  /** Readings a second. */
  readonly rate: number;
  /** Of its store. */
  readonly maxBytes: number;
  /** Where its data is; in the folder unless told. */
  readonly disk?: SmallDisk | undefined;
}

/** A gateway with a sensor of its own and a line of its own to the broker. */
export class Plant {
  readonly name: string;
  readonly folder: string;
  readonly data: string;
  readonly disk: SmallDisk | undefined;
  readonly line: Line;
  /** Its wall clock; undefined where it can not be set. */
  time: FakeTime | undefined;
  readonly #broker: { readonly brokerPort: number };
  readonly #options: PlantOptions;
  readonly #daemons: RunningDaemon[] = [];
  #port = 0;
  #daemon: RunningDaemon | undefined;
  #process: ChildProcess | undefined;
  #sensor: MqttClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #owed = 0;
  #measured = 0;

  constructor(options: PlantOptions, broker: { readonly brokerPort: number }) {
    const { folder, name, disk } = options;
    this.#options = options;
    this.name = name;
    this.folder = join(folder, name);
    this.data = join(disk?.folder ?? this.folder, "data");
    this.disk = disk;
    this.line = new Line(0);
    this.#broker = broker;
  }

  async start(): Promise<void> {
    mkdirSync(this.folder, { recursive: true });
    this.time = FakeTime.inFolder(this.folder);
    this.#port = await freePort();
    this.line.to = this.#broker.brokerPort;
    await this.line.start();
    const source = { kind: "mqtt", topic: "sensor/{k}", key: "k", fields: { v: { min: 0, max: 1 } } };
    const config = {
      device: { name: this.name },
      ...{ bus: { kind: "embedded", port: this.#port }, mode: "observe" },
      store: { maxBytes: this.#options.maxBytes },
      agents: {
        one: { sources: [source], record: { quiet: "all" }, rules: [{ id: "up", when: "event.fields.v > 0.9" }] },
      },
      fleet: {
        ...{ name: "north", brokers: [`mqtt://127.0.0.1:${this.line.port}`] },
        ...{ firstWithinSeconds: 0, reconnectWithinSeconds: 2, keepaliveSeconds: 10 },
      },
    };
    writeFileSync(join(this.folder, "holdfast.yaml"), JSON.stringify(config));
    await this.run();
    this.#timer = setInterval(() => this.#measure(), EVERY_MS);
  }

  /** Resolves when it is ready. */
  async run(): Promise<void> {
    const wrapper = this.time === undefined ? [] : ["env", ...this.time.variables()];
    const launched = launchDaemon(join(this.folder, "holdfast.yaml"), this.data, wrapper);
    this.#process = launched.child;
    this.#daemon = await launched.ready;
    this.#daemons.push(this.#daemon);
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

  /** Stands still and goes on, as a machine that slept. */
  async sleep(forMs: number): Promise<void> {
    this.#process?.kill("SIGSTOP");
    await sleep(forMs);
    this.#process?.kill("SIGCONT");
  }

  /** Whatever runs is ended, and at once. */
  end(): void {
    clearInterval(this.#timer);
    this.#process?.kill("SIGKILL");
  }

  get starts(): number {
    return this.#daemons.length;
  }

  /** Another machine, that says that it is this one. */
  twin(folder: string): Plant {
    return new Plant({ ...this.#options, folder, disk: undefined }, this.#broker);
  }

  /** All that it has of the stream that starts are told in is with the fleet. */
  async hasToldItsStart(): Promise<boolean> {
    const { streams } = (await callDaemon({ dataDirectory: this.data, verb: "outbox" })) as Outbox;
    return streams.every(({ name, records }) => name !== "safety" || records === 0);
  }

  async isFull(): Promise<boolean> {
    return (await this.#daemon?.status())?.store.state === "full";
  }

  /** How often the daemon gave this reason, over all starts. */
  said(reason: string): number {
    return this.#daemons.flatMap(({ lines }) => lines.filter((line) => line.reason === reason)).length;
  }

  /** No more readings; what is under way is decided. */
  quiet(): void {
    clearInterval(this.#timer);
  }

  /** A copy of the databases while nobody runs, as a backup is. */
  copyTo(to: string): void {
    rmSync(to, { recursive: true, force: true });
    // The control socket is no file to copy.
    cpSync(this.data, to, { recursive: true, filter: (from) => !from.endsWith(".sock") });
  }

  /** Puts the copy in the place of what is there. */
  restoreFrom(copy: string): void {
    rmSync(this.data, { recursive: true });
    cpSync(copy, this.data, { recursive: true });
  }

  #measure(): void {
    const sensor = this.#sensor;
    if (sensor?.connected !== true) return;
    this.#owed += (this.#options.rate * EVERY_MS) / 1000;
    for (; this.#owed >= 1; this.#owed -= 1) {
      this.#measured += 1;
      sensor.publish(`sensor/s${this.#measured % 5}`, `{"v":${((this.#measured * 7) % 100) / 100}}`, { qos: 0 });
    }
  }
}
