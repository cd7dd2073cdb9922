import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type IClientOptions, type MqttClient } from "mqtt";
import type { BusCommand, BusReading, Gate, Sent } from "../act/tool.ts";
import { askFor } from "./ask-for.ts";
import { type ConnectionEnd, endOf } from "./connection-end.ts";
import { type Credentials, credentialOptions } from "./credentials.ts";
import { hangUp } from "./hang-up.ts";
import { PublishLine, type Wire } from "./publish-line.ts";
import { expiryInterval, MOST_PACKET_BYTES } from "./publish-packet.ts";

export interface CommandConnectionOptions {
  readonly url: string;
  readonly clientId: string;
  readonly version: 4 | 5;
  readonly credentials: Credentials;
  readonly keepaliveSeconds: number;
  readonly maxPacketBytes: number;
}

/** What becomes of a connection is told to its owner. */
export interface CommandConnectionOwner {
  opened(): void;
  received(reading: BusReading): void;
  /** Told exactly once, also when the connection never came to be. */
  ended(end: ConnectionEnd): void;
}

const CONNECT_TIMEOUT_MS = 15_000;
const FAREWELL_MS = 500;
const LEAST_PACKET_LIMIT_BYTES = 16 * 1024 * 1024;
const FILTERS_PER_SUBSCRIBE = 8;
/** As many as brokers take by default without saying so (MQTT 3.1.1). */
const MOST_UNANSWERED = 20;
const LOOK_EVERY_MS = 5;
const NOTHING = (): void => {};

/**
 * One connection for commands: made, used, thrown away. Nothing is queued for the next one: a new client with an empty
 * store is made for it. A command is written in the turn in which its gate says yes.
 */
export class CommandConnection implements Wire {
  readonly #owner: CommandConnectionOwner;
  readonly #version: 4 | 5;
  readonly #client: MqttClient;
  #line: PublishLine | undefined;
  #received = 0;
  /** Packet id of the PUBLISH that is written in this call, set by the library's own report of it. */
  #justWritten: number | undefined;
  #end: ConnectionEnd | undefined;
  #isEnded = false;

  constructor(options: CommandConnectionOptions, owner: CommandConnectionOwner) {
    this.#owner = owner;
    this.#version = options.version;
    this.#client = connect(options.url, clientOptions(options));
    this.#listen();
  }

  get received(): number {
    return this.#received;
  }

  get isClear(): boolean {
    const stream = this.#stream();
    return this.#client.connected && stream.writable && !stream.writableNeedDrain;
  }

  publish(command: BusCommand, gate: Gate, signal: AbortSignal): Promise<Sent> {
    const line = this.#line;
    if (line === undefined) return Promise.resolve({ kind: "failed", reason: "notConnected", left: false });
    return line.publish(command, gate, signal);
  }

  /**
   * Asks the broker for topics, stored messages included. Returns what it refused, with the reason codes. Where filters
   * overlap a reading may come twice, which changes nothing.
   */
  async subscribe(filters: readonly string[]): Promise<Map<string, number>> {
    const refused = new Map<string, number>();
    for (let at = 0; at < filters.length; at += FILTERS_PER_SUBSCRIBE) {
      const batch = filters.slice(at, at + FILTERS_PER_SUBSCRIBE);
      // No local messages (MQTT 5): a command of ours is not a reading of what became of it.
      const wanted = batch.map((filter) => [filter, { qos: 1, rap: false, nl: true, rh: 0 }] as const);
      for (const [filter, code] of await askFor(this.#client, Object.fromEntries(wanted))) refused.set(filter, code);
    }
    return refused;
  }

  /** Resolves when all that has been written is answered, or after so long, when what has not left never will. */
  async drained(limitMs: number): Promise<void> {
    const line = this.#line;
    const serial = line?.serial ?? 0;
    const isDone = (): boolean => this.#isEnded || line === undefined || line.hasAnswersTo(serial);
    for (let waitedMs = 0; waitedMs < limitMs; waitedMs += LOOK_EVERY_MS) {
      if (isDone()) return;
      await sleep(LOOK_EVERY_MS);
    }
    if (!isDone()) this.giveUp();
  }

  /** Waits up to `limitMs` for the answers to what was written, then says goodbye. */
  async leave(limitMs: number): Promise<void> {
    await this.drained(limitMs);
    if (this.#isEnded) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, FAREWELL_MS);
      this.#client.end(false, () => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#close();
  }

  write(command: BusCommand): number | undefined {
    const stream = this.#stream();
    const before = stream.writableLength;
    this.#justWritten = undefined;
    const properties = this.#version === 5 ? { properties: publishProperties(command) } : {};
    this.#client.publish(command.topic, command.payload, { qos: 1, retain: false, ...properties }, NOTHING);
    // A packet that the library can not make it drops without a word.
    const isWritten = stream.writableLength > before;
    // It holds packets of one turn together until the end of it; this one goes to the kernel now.
    stream.uncork();
    return isWritten ? this.#justWritten : undefined;
  }

  probe(): void {
    if (this.#client.connected) this.#client.sendPing();
  }

  giveUp(): void {
    if (this.#isEnded) return;
    this.#end ??= { kind: "failed", code: "ETIMEDOUT", message: "no answer", wasConnected: true };
    hangUp(this.#stream());
    this.#close();
  }

  #stream(): Duplex {
    return this.#client.stream as unknown as Duplex;
  }

  #listen(): void {
    const client = this.#client;
    client.on("connect", () => this.#open());
    client.on("packetsend", (packet) => {
      if (packet.cmd === "publish") this.#justWritten = packet.messageId;
    });
    // The library's callback does not tell that nobody has subscribed.
    client.on("packetreceive", (packet) => {
      this.#received += 1;
      if (packet.cmd === "puback") this.#line?.answered(packet.messageId as number, packet.reasonCode ?? 0);
    });
    client.on("message", (topic, payload, { retain }) => {
      if (!this.#isEnded) this.#owner.received({ topic, payload, retained: retain });
    });
    client.on("disconnect", (packet) => {
      this.#end ??= { kind: "dismissed", code: packet.reasonCode ?? 0 };
      this.#close();
    });
    client.on("error", (error) => {
      this.#end ??= endOf(error, this.#line !== undefined);
      this.#close();
    });
    client.on("close", () => this.#finish());
  }

  #open(): void {
    const stream = this.#stream();
    (stream as Partial<Socket>).setNoDelay?.(true);
    const { receiveMaximum, maximumPacketSize, maximumQoS } = this.#client.serverProperties ?? {};
    this.#line = new PublishLine(this, Math.min(MOST_UNANSWERED, receiveMaximum ?? MOST_UNANSWERED), {
      version: this.#version,
      maximumPacketBytes: maximumPacketSize ?? MOST_PACKET_BYTES,
      takesQos1: maximumQoS !== 0,
    });
    stream.on("drain", () => this.#line?.advance());
    this.#owner.opened();
  }

  #close(): void {
    if (this.#isEnded) return;
    this.#client.end(true);
    // The library is not trusted to report the close of a connection that never was.
    setTimeout(() => this.#finish(), FAREWELL_MS).unref();
  }

  #finish(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const wasConnected = this.#line !== undefined;
    this.#line?.close();
    this.#client.end(true);
    this.#owner.ended(this.#end ?? { kind: "closed", wasConnected });
  }
}

function publishProperties(command: BusCommand) {
  const { expirySeconds, properties, responseTopic } = command;
  return {
    messageExpiryInterval: expiryInterval(expirySeconds),
    ...(Object.keys(properties).length === 0 ? {} : { userProperties: { ...properties } }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
  };
}

function clientOptions(options: CommandConnectionOptions): IClientOptions {
  const maximumPacketSize = Math.max(LEAST_PACKET_LIMIT_BYTES, 2 * options.maxPacketBytes);
  return {
    protocolVersion: options.version,
    clientId: options.clientId,
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepalive: options.keepaliveSeconds,
    resubscribe: false,
    queueQoSZero: false,
    log: NOTHING,
    ...(options.version === 5
      ? { properties: { sessionExpiryInterval: 0, maximumPacketSize, requestProblemInformation: true } }
      : {}),
    ...credentialOptions(options.credentials),
  };
}
