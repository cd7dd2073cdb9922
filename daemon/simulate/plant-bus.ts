import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { connect, type MqttClient } from "mqtt";
import { DaemonError } from "../errors.ts";
import { commandFilters } from "./devices.ts";

interface PlantBusOptions {
  readonly url: string;
  readonly username?: string | undefined;
  readonly passwordFile?: string | undefined;
}

interface PlantBusDeps {
  readonly onCommand: (topic: string, payload: string) => void;
  /** The connection is lost, or there again. */
  readonly onChange: (isConnected: boolean) => void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const AGAIN_MS = 1000;
const DRAIN_MS = 1000;
const DRAIN_STEP_MS = 20;

/** The plant's side of the bus: readings out at QoS 1, commands in. What can not be sent is lost, as with real sensors. */
export class PlantBus {
  readonly #deps: PlantBusDeps;
  readonly #options: PlantBusOptions;
  #client: MqttClient | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isStopped = false;
  #sent = 0;
  #acknowledged = 0;
  /** Never sent, or sent and not acknowledged before the connection closed. */
  #notSent = 0;
  #failed = 0;

  constructor(deps: PlantBusDeps, options: PlantBusOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Rejects when there is no broker. Later on the connection is tried again until `stop`. */
  async start(): Promise<void> {
    await this.#connect();
  }

  get counts() {
    return { sent: this.#sent, acknowledged: this.#acknowledged, lost: this.#notSent + this.#failed };
  }

  publish(topic: string, payload: string): void {
    if (this.#client?.connected !== true) {
      this.#notSent += 1;
      return;
    }
    this.#sent += 1;
    this.#client.publish(topic, payload, { qos: 1 }, (error) => {
      if (error === undefined || error === null) this.#acknowledged += 1;
      else this.#failed += 1;
    });
  }

  /** Waits a moment for what is not acknowledged yet. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined) return;
    const isOpen = (): boolean => client.connected && this.#acknowledged + this.#failed < this.#sent;
    for (let waited = 0; waited < DRAIN_MS && isOpen(); waited += DRAIN_STEP_MS) await pause(DRAIN_STEP_MS);
    await new Promise<void>((resolve) => client.end(true, () => resolve()));
  }

  async #connect(): Promise<void> {
    const { url, username, passwordFile } = this.#options;
    const client = connect(url, {
      protocolVersion: 4,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      ...(username === undefined ? {} : { username }),
      ...(passwordFile === undefined ? {} : { password: readFileSync(passwordFile, "utf8").trimEnd() }),
    });
    client.on("message", (topic, payload) => this.#deps.onCommand(topic, payload.toString()));
    // What goes wrong later shows as a closed connection.
    client.on("error", () => undefined);
    try {
      await opened(client);
      await client.subscribeAsync([...commandFilters], { qos: 1 });
    } catch (cause) {
      client.end(true);
      throw new DaemonError("BROKER_UNREACHABLE", { url }, { cause, hint: HINT });
    }
    this.#client = client;
    if (client.connected) client.once("close", () => this.#lostConnection());
    else this.#lostConnection();
  }

  #lostConnection(): void {
    this.#client = undefined;
    if (this.#isStopped) return;
    this.#deps.onChange(false);
    this.#again();
  }

  #again(): void {
    this.#retry = setTimeout(async () => {
      try {
        await this.#connect();
        if (!this.#isStopped) this.#deps.onChange(true);
        else await this.stop();
      } catch {
        // There will be a broker or there won't: the plant runs on.
        if (!this.#isStopped) this.#again();
      }
    }, AGAIN_MS);
  }
}

const HINT = "start the gateway first: npx holdfast run --config config/examples/cold-store/holdfast.yaml";

async function opened(client: MqttClient): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const closed = (): void => reject(new Error("the connection was closed"));
    client.once("error", reject);
    client.once("close", closed);
    client.once("connect", () => {
      client.off("error", reject);
      client.off("close", closed);
      resolve();
    });
  });
  // Small packets must not wait for each other's acknowledgement (Nagle): it costs 40 ms at high rates.
  (client.stream as unknown as Partial<Socket>).setNoDelay?.(true);
}
