import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { connect, type MqttClient } from "mqtt";
import { DaemonError } from "../errors.ts";

interface PublisherOptions {
  readonly url: string;
  readonly qos: 0 | 1;
  readonly username?: string | undefined;
  readonly passwordFile?: string | undefined;
}

export interface Publisher {
  /** Waits only while too many messages are unacknowledged. */
  publish(topic: string, payload: string): Promise<void>;
  drained(): Promise<void>;
  acknowledged(): number;
  close(): Promise<void>;
}

const MAX_UNACKNOWLEDGED = 500;
const CONNECT_TIMEOUT_MS = 10_000;

/** A client that only publishes: for `holdfast feed`. */
export async function openPublisher(options: PublisherOptions): Promise<Publisher> {
  const client = await connected(options);
  let open = 0;
  let acknowledged = 0;
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  client.on("error", (error) => {
    failure = error;
    wake?.();
  });
  client.on("close", () => {
    failure ??= new Error("the broker closed the connection");
    wake?.();
  });
  const below = async (limit: number): Promise<void> => {
    while (open > limit && failure === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== undefined) {
      throw new DaemonError("BROKER_UNREACHABLE", { url: options.url, unacknowledged: open }, { cause: failure });
    }
  };
  return {
    async publish(topic, payload) {
      await below(MAX_UNACKNOWLEDGED - 1);
      open += 1;
      client.publish(topic, payload, { qos: options.qos }, (error) => {
        open -= 1;
        if (error === undefined || error === null) acknowledged += 1;
        else failure ??= error;
        wake?.();
      });
    },
    drained: () => below(0),
    acknowledged: () => acknowledged,
    close: () => new Promise((resolve) => client.end(true, () => resolve())),
  };
}

async function connected(options: PublisherOptions): Promise<MqttClient> {
  const client = connect(options.url, {
    protocolVersion: 4,
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.passwordFile === undefined ? {} : { password: readFileSync(options.passwordFile, "utf8").trimEnd() }),
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void => {
      client.end(true);
      reject(
        new DaemonError(
          "BROKER_UNREACHABLE",
          { url: options.url },
          { cause, hint: "Is the broker running, and may this user connect?" },
        ),
      );
    };
    client.once("error", fail);
    client.once("close", () => fail(new Error("the connection was closed")));
    client.once("connect", () => {
      client.removeAllListeners("close");
      client.removeListener("error", fail);
      resolve();
    });
  });
  // Small packets must not wait for each other's acknowledgement (Nagle): it costs 40 ms at high rates.
  (client.stream as unknown as Partial<Socket>).setNoDelay?.(true);
  return client;
}
