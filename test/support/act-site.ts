import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MqttClient } from "mqtt";
import { callAsPerson } from "../../daemon/api/control-client.ts";
import { eachRecord } from "../../scripts/trial/acted.ts";
import { launchDaemon, type RunningDaemon } from "../../scripts/trial/daemon.ts";
import { busOf } from "../../scripts/trial/fixtures.ts";
import type { RecordKind } from "../../sync/kinds.ts";
import type { Intent, Outcome } from "../../sync/records.ts";
import { sensor, until } from "./bus.ts";
import { type Mosquitto, startMosquitto } from "./mosquitto.ts";

/** What reached the plant: a command by what it was about. */
export interface Command {
  readonly about: string;
  readonly cmd: string;
  readonly key: string;
}

const MARK = "plant/mark/command";

/** A gateway on a broker of its own, and a plant that remembers what it was told: messages to `plant/ABOUT/command`. */
export class ActSite {
  readonly folder = mkdtempSync(join(tmpdir(), "holdfast-act-"));
  readonly data: string;
  readonly commands: Command[] = [];
  readonly #config = join(this.folder, "holdfast.yaml");
  #broker: Mosquitto | undefined;
  #plant: MqttClient | undefined;
  #daemon: RunningDaemon | undefined;
  #marks = 0;

  /** `data`: where its data lies, by the folder of everything. */
  constructor(data: (folder: string) => string = (folder) => join(folder, "data")) {
    this.data = data(this.folder);
  }

  /** Starts with a configuration to which the broker is added. */
  async open(config: object): Promise<this> {
    this.#broker = await startMosquitto();
    await this.listen();
    this.write(config);
    await this.start();
    return this;
  }

  get broker(): Mosquitto {
    if (this.#broker === undefined) throw new Error("there is no broker");
    return this.#broker;
  }

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error("no daemon runs");
    return this.#daemon;
  }

  write(config: object): void {
    const whole = { schemaVersion: 1, bus: busOf("external", this.broker.port), ...config };
    writeFileSync(this.#config, JSON.stringify(whole));
  }

  /** The plant connects, once more where the broker was away. */
  async listen(): Promise<void> {
    this.#plant = await sensor(this.broker.url);
    this.#plant.on("message", (topic, payload) => {
      const { cmd, _id: key = "" } = JSON.parse(payload.toString()) as { cmd: string; _id?: string };
      this.commands.push({ about: topic.split("/")[1] ?? "", cmd, key });
    });
    await this.#plant.subscribeAsync("plant/+/command", { qos: 1 });
  }

  /** `crashpoint`: where it is to die. */
  async start(crashpoint?: string): Promise<void> {
    const wrapper = crashpoint === undefined ? [] : ["env", `HOLDFAST_TEST_CRASHPOINT=${crashpoint}`];
    this.#daemon = await launchDaemon(this.#config, this.data, wrapper).ready;
    await until("the bus", () => this.daemon.lines.some(({ msg }) => msg === "commands are connected"));
  }

  /** Asks as the user who runs the test, or as the bearer of a token. */
  async ask(verb: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return await callAsPerson({ dataDirectory: this.data, verb, parameters });
  }

  /** A message of the plant, at QoS 1: the broker has it then. */
  async publish(topic: string, payload: object): Promise<void> {
    await this.#plant?.publishAsync(topic, JSON.stringify(payload), { qos: 1 });
  }

  /** All that the broker took before now. */
  async told(): Promise<readonly Command[]> {
    this.#marks += 1;
    const cmd = String(this.#marks);
    await this.publish(MARK, { cmd });
    await until("the mark", () => this.commands.some((one) => one.about === "mark" && one.cmd === cmd));
    return this.commands.filter(({ about }) => about !== "mark");
  }

  records(kind: RecordKind): Record<string, unknown>[] {
    return [...eachRecord(this.data, [kind])];
  }

  intents(tool: string): Intent[] {
    return this.records("intent")
      .map((body) => body as Intent)
      .filter((one) => one.tool === tool);
  }

  /** An action's steps: the last with a "!", each with its reason. */
  steps(action: string): string[] {
    const outcomes = this.records("outcome").map((body) => body as Outcome);
    return outcomes
      .filter(({ intent }) => intent === action)
      .map(({ state, reason, final }) => `${state}${final ? "!" : ""}${reason === undefined ? "" : ` ${reason}`}`);
  }

  /** Waits for an action's last step. */
  async end(action: string): Promise<string> {
    await until("the action's end", () => this.steps(action).some((step) => step.includes("!")));
    return this.steps(action).at(-1) ?? "";
  }

  /** What did not become an intent at once, and why. */
  refused(tool: string): string[] {
    const all = this.records("proposal").filter((body) => body["tool"] === tool);
    return all.map(({ state, reason }) => `${state}: ${reason}`);
  }

  async close(): Promise<void> {
    if (this.#daemon?.child.exitCode === null) await this.#daemon.kill();
    await this.#plant?.endAsync(true);
    await this.#broker?.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
