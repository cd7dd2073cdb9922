import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { callAsPerson } from "../../daemon/api/control-client.ts";
import { childPath } from "../../daemon/children.ts";
import { becomes } from "./claims.ts";
import { type Mosquitto, type RunningDaemon, startDaemon, startMosquitto } from "./daemon.ts";
import { busOf, fixtureModel } from "./fixtures.ts";
import { Observer } from "./observer.ts";
import { paced, Sensor } from "./sensor.ts";
import { SlowLine } from "./slow-line.ts";

/** Messages a second, each a pass; one in so many fires the rule, and each time it fires is an action. */
const PER_SECOND = 1000;
const ONE_IN = 5;
const PUMPS = 8;
/** More than a sensor needs in hand; what a daemon that is away would have got is left out. */
const MOST_UNACKNOWLEDGED = 2000;
const IN_FLIGHT = 200;
const FLOW_EFFECTS = 40;
/** After a connection that broke again and again the next one is made after half a minute. */
const FLOW_MS = 60_000;

/** What `holdfast stop` did, with wall times in milliseconds taken by the shell around it. */
export interface StopCall {
  readonly startedMs: number;
  readonly returnedMs: number;
  readonly status: number | null;
  /** What it said to standard error. */
  readonly complaint: string;
  readonly told: { readonly how?: string; readonly nonce?: string; readonly stopped?: boolean } | undefined;
}

/** A gateway under load, with somebody who looks at what reaches the plant. */
export class StopSite {
  readonly data: string;
  readonly broker: Mosquitto;
  readonly observer: Observer;
  readonly #config: string;
  readonly #sensor: Sensor;
  readonly #sending: Promise<number>;
  #line: SlowLine | undefined;
  #isOver = false;
  #daemon: RunningDaemon | undefined;

  private constructor(config: string, data: string, broker: Mosquitto, observer: Observer, sensor: Sensor) {
    this.#config = config;
    this.data = data;
    this.broker = broker;
    this.observer = observer;
    this.#sensor = sensor;
    this.#sending = paced(
      PER_SECOND,
      () => this.#isOver,
      (index) => {
        if (sensor.unacknowledged < MOST_UNACKNOWLEDGED) sensor.publish(topicOf(index), payloadOf(index), 1);
      },
    );
  }

  /** `delayMs`: how long each way takes between the daemon and the broker; undefined: no longer than it takes. */
  static async open(folder: string, data: string, delayMs?: number): Promise<StopSite> {
    const broker = await startMosquitto(folder, IN_FLIGHT);
    const line = delayMs === undefined ? undefined : await SlowLine.open(broker.port, delayMs);
    const config = join(folder, "holdfast.yaml");
    writeFileSync(config, JSON.stringify(configOf(line?.port ?? broker.port)));
    const observer = await Observer.open(broker.port, ["plant/+/command"]);
    const sensor = await new Sensor(broker.port, "pumps").open();
    const site = new StopSite(config, data, broker, observer, sensor);
    site.#line = line;
    await site.start();
    await site.ask("mode", { scope: "gateway", mode: "auto" });
    return site;
  }

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error("no daemon runs");
    return this.#daemon;
  }

  /** What there is to say of a daemon that is not well. */
  lastWords(): string {
    const { child, lines } = this.daemon;
    return `daemon ${child.signalCode ?? child.exitCode ?? "runs"}, said: ${JSON.stringify(lines.slice(-5))}`;
  }

  async start(): Promise<void> {
    this.#daemon = await startDaemon(this.#config, this.data);
  }

  /** What a person asks of the daemon, without the time that a command takes to start. */
  async ask(verb: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return await callAsPerson({ dataDirectory: this.data, verb, parameters });
  }

  /** True when effects reach the plant again. */
  async flows(): Promise<boolean> {
    const before = this.observer.count;
    return await becomes(() => this.observer.count >= before + FLOW_EFFECTS, FLOW_MS);
  }

  /** `holdfast stop`, as a person types it. Also gives the mark that was put when it had returned. */
  async stop(more: readonly string[] = []): Promise<StopCall & { readonly mark: string }> {
    const script = 'echo "$EPOCHREALTIME"; "$@"; code=$?; echo "$EPOCHREALTIME"; exit $code';
    const command = [process.execPath, childPath("daemon/main"), "stop", "smoke", "--data", this.data, "--json"];
    const child = spawn("bash", ["-c", script, "stop", ...command, ...more], { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    const [status] = (await once(child, "close")) as [number | null];
    const mark = await this.observer.mark();
    const lines = out.trim().split("\n");
    const told = lines.length > 2 ? (JSON.parse(lines[1] as string) as NonNullable<StopCall["told"]>) : undefined;
    return {
      startedMs: 1000 * Number(lines[0]),
      returnedMs: 1000 * Number(lines.at(-1)),
      status,
      told,
      complaint,
      mark,
    };
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#sending;
    this.#sensor.close();
    this.observer.close();
    await this.#daemon?.kill();
    this.#line?.close();
    await this.broker.stop();
  }
}

const topicOf = (index: number): string => `pump/p${index % PUMPS}/reading`;

function payloadOf(index: number): string {
  const isHot = Math.floor(index / PUMPS) % ONE_IN === 0;
  return `{"id":"r${index}","ts":${Date.now()},"a":${isHot ? 90 : 10},"b":${index % 7}}`;
}

function configOf(port: number): object {
  const range = { min: -1000, max: 1000 };
  return {
    schemaVersion: 1,
    bus: busOf("external", port),
    store: { ballastBytes: 1_048_576 },
    limits: { effectsPerMinute: 1_000_000 },
    models: { linear: { directory: fixtureModel("linear") } },
    agents: {
      guard: {
        priority: "action",
        sources: [
          {
            kind: "mqtt",
            topic: "pump/{pump}/reading",
            key: "pump",
            timestamp: { path: "ts", unit: "ms" },
            fields: { a: range, b: range },
          },
        ],
        event: { id: { path: "id" } },
        model: "linear",
        rules: [
          {
            id: "hot",
            when: "event.fields.a > 50.0",
            do: [{ tool: "cool", arguments: { pump: "event.key" } }],
          },
        ],
        record: { quiet: "all" },
      },
    },
    tools: {
      cool: { kind: "mqtt", topic: "plant/{pump}/command", payload: { cmd: "cool" }, class: "reversible" },
    },
    policy: [{ id: "all", effect: "permit" }],
  };
}
