import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { withSection } from "../../../config/edit.ts";
import { callDaemon } from "../../../daemon/api/control-client.ts";
import { childPath } from "../../../daemon/children.ts";
import type { FleetState } from "../../../daemon/fleet/fleet-part.ts";
import type { Outbox } from "../../../daemon/fleet/outbox.ts";
import { type Mosquitto, type RunningDaemon, startDaemon, startMosquitto } from "../daemon.ts";
import { busOf, fixtureModel } from "../fixtures.ts";
import { Observer } from "../observer.ts";
import { paced, Sensor } from "../sensor.ts";

export const PER_SECOND = 50;
/** One message in so many makes a rule fire, and the plant gets a command for it. */
export const ONE_ACTS_IN = 5;
const KEYS = 5;
const IN_FLIGHT = 200;
const run = promisify(execFile);
/** Quicker than in the field, so that half a minute without a link is many tries to connect. */
const HURRY = { firstWithinSeconds: 0, reconnectWithinSeconds: 5, keepaliveSeconds: 10 };

/** A gateway, its plant's own broker, a sensor, and somebody who looks at what reaches the plant. */
export class GatewaySite {
  readonly folder: string;
  readonly data: string;
  /** Wall time in milliseconds at which each message left the sensor, by its id. */
  readonly sentMs = new Map<string, number>();
  #broker: Mosquitto | undefined;
  #daemon: RunningDaemon | undefined;
  #observer: Observer | undefined;
  #sensor: Sensor | undefined;
  #sending: Promise<number> | undefined;
  #linesBefore = 0;
  #isOver = false;
  #isStopped = false;

  constructor(folder: string) {
    this.folder = folder;
    this.data = join(folder, ".holdfast");
  }

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error("no gateway runs");
    return this.#daemon;
  }

  /** How many lines the daemons logged so far. */
  get daemonLines(): number {
    return this.#linesBefore + (this.#daemon?.lines.length ?? 0);
  }

  get observer(): Observer {
    if (this.#observer === undefined) throw new Error("nobody looks");
    return this.#observer;
  }

  /** `enrolment`: the file that the fleet made for this gateway. `fleet`: what its section has besides. */
  async start(enrolment: string, fleet: Readonly<Record<string, unknown>>): Promise<void> {
    mkdirSync(this.folder, { recursive: true });
    this.#broker = await startMosquitto(this.folder, IN_FLIGHT);
    const file = join(this.folder, "holdfast.yaml");
    writeFileSync(file, JSON.stringify(configOf(this.#broker.port), undefined, 2));
    await this.holdfast("enroll", enrolment, "--write", "--config", file);
    writeFileSync(file, withSection(readFileSync(file, "utf8"), "fleet", { ...HURRY, ...fleet }) ?? "");
    await this.run();
    this.#observer = await Observer.open(this.#broker.port, ["do/#"]);
    this.#sensor = await new Sensor(this.#broker.port, "sensor").open();
  }

  async run(): Promise<void> {
    this.#linesBefore = this.daemonLines;
    this.#daemon = await startDaemon(join(this.folder, "holdfast.yaml"), this.data);
  }

  measure(): void {
    this.#sending = paced(
      PER_SECOND,
      () => this.#isOver,
      (index) => this.#send(index),
    );
  }

  /** No more measurements; gives how many there were. */
  async quiet(): Promise<number> {
    this.#isOver = true;
    return (await this.#sending) ?? 0;
  }

  async link(): Promise<FleetState> {
    return (await callDaemon({ dataDirectory: this.data, verb: "link" })) as FleetState;
  }

  /** Records that wait for the fleet, but for telemetry, of which there is always some. */
  async waiting(): Promise<number> {
    const { streams } = (await callDaemon({ dataDirectory: this.data, verb: "outbox" })) as Outbox;
    return streams.filter(({ name }) => name !== "telemetry").reduce((sum, { records }) => sum + records, 0);
  }

  /** A command as a person types it. */
  async holdfast(...args: readonly string[]): Promise<string> {
    return (await run(process.execPath, [childPath("daemon/main"), ...args], { cwd: this.folder })).stdout;
  }

  /** Gives how the gateway ended; done again it does nothing. */
  async stop(): Promise<number | null | undefined> {
    this.#isOver = true;
    if (this.#isStopped) return undefined;
    this.#isStopped = true;
    this.#sensor?.close();
    const code = await this.#daemon?.stop();
    this.#observer?.close();
    await this.#broker?.stop();
    return code;
  }

  #send(index: number): void {
    const turn = Math.floor(index / ONE_ACTS_IN);
    const key = `k${turn % KEYS}`;
    const isActing = index % ONE_ACTS_IN === 0;
    const id = isActing ? `a${turn}` : `w${index}`;
    // Each message of a key is on the other side of the rules' bound than the one before.
    const a = Math.floor(turn / KEYS) % 2 === 0 ? 0.9 : 0.1;
    const atMs = performance.timeOrigin + performance.now();
    this.sentMs.set(id, atMs);
    const payload = `{"id":"${id}","ts":${Math.floor(atMs)},"a":${a},"b":${index % 7}}`;
    this.#sensor?.publish(`plant/${isActing ? "act" : "watch"}/${key}`, payload, 1);
  }
}

function configOf(port: number): object {
  const range = { min: -1000, max: 1000 };
  const agent = (topic: string, more: object): object => ({
    sources: [
      {
        ...{ kind: "mqtt", topic: `plant/${topic}/{key}`, key: "key", timestamp: { path: "ts", unit: "ms" } },
        fields: { a: range, b: range },
      },
    ],
    ...{ event: { id: { path: "id" } }, model: "linear", record: { quiet: "all" }, ...more },
  });
  const move = [{ tool: "move", arguments: { key: "event.key", token: "has(event.id) ? event.id : 'none'" } }];
  return {
    schemaVersion: 1,
    device: { name: "plant-7" },
    mode: "auto",
    bus: busOf("external", port),
    limits: { effectsPerMinute: 1_000_000 },
    models: { linear: { directory: fixtureModel("linear") } },
    agents: {
      watching: agent("watch", { rules: [{ id: "high", when: "answer.score > 1000000.0" }] }),
      acting: agent("act", {
        priority: "action",
        rules: [
          { id: "up", when: "event.fields.a > 0.5", do: move },
          { id: "down", when: "event.fields.a <= 0.5", do: move },
        ],
      }),
    },
    tools: { move: { kind: "mqtt", topic: "do/{key}", payload: { token: "{token}" }, class: "reversible" } },
    policy: [{ id: "all", effect: "permit", tools: ["move"] }],
  };
}
