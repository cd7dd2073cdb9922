import type { Socket } from "node:net";
import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from "mqtt";
import { askFor } from "./ask-for.ts";
import { type BusMessage, type Receipt, traceparentOf } from "./bus.ts";
import { type ConnectionEnd, endOf } from "./connection-end.ts";
import type { BrokerSubscription } from "./covering.ts";
import { type Credentials, credentialOptions } from "./credentials.ts";
import { BusError } from "./errors.ts";
import { OrderedReceipts } from "./ordered-receipts.ts";

export interface ConnectionOptions {
  readonly url: string;
  readonly clientId: string;
  readonly version: 4 | 5;
  readonly credentials: Credentials;
  readonly keepaliveSeconds: number;
  readonly sessionExpirySeconds: number;
  readonly maxUnacknowledged: number;
  readonly maxPacketBytes: number;
}

/** What becomes of a connection is told to its owner. */
export interface ConnectionOwner {
  opened(hasSession: boolean): void;
  /** `identifiers`: those of the subscriptions that brought it, where the broker says so. */
  received(message: BusMessage, identifiers: number | readonly number[] | undefined): void;
  /** Told exactly once, also when the connection never came to be. */
  ended(end: ConnectionEnd): void;
}

/** What is used of the client although it is private: pinned by the exact version and by a test. */
interface ClientInternals {
  _sendPacket?: (packet: { cmd: string }, done?: () => void, ...rest: unknown[]) => void;
}

type Continue = () => void;

const CONNECT_TIMEOUT_MS = 15_000;
const FAREWELL_MS = 500;
/** Larger packets the broker keeps to itself; those between this and what sources take are counted as invalid. */
const LEAST_PACKET_LIMIT_BYTES = 16 * 1024 * 1024;
const FILTERS_PER_SUBSCRIBE = 8;
const PUBACK = 0x40;
const NO_LOG = (): void => {};

/**
 * One connection to one broker: made, used, thrown away. A message of QoS 1 is acknowledged when its receipt is
 * released, in order of arrival; with too many unreleased, or while paused, nothing more is read from the socket.
 */
export class BrokerConnection {
  readonly #owner: ConnectionOwner;
  readonly #maxUnacknowledged: number;
  readonly #version: 4 | 5;
  readonly #client: MqttClient;
  readonly #receipts: OrderedReceipts<number>;
  readonly #keepalive: NodeJS.Timeout;
  #released: number[] = [];
  #isFlushDue = false;
  /** Goes on with reading when called. Set while reading stands still. */
  #proceed: Continue | undefined;
  #isPaused: boolean;
  #isLeaving = false;
  #wasConnected = false;
  #end: ConnectionEnd | undefined;
  #isEnded = false;
  #drained: (() => void) | undefined;

  constructor(options: ConnectionOptions, owner: ConnectionOwner, isPaused: boolean) {
    this.#owner = owner;
    this.#maxUnacknowledged = options.maxUnacknowledged;
    this.#version = options.version;
    this.#isPaused = isPaused;
    this.#receipts = new OrderedReceipts((messageId) => this.#acknowledge(messageId));
    this.#client = connect(options.url, clientOptions(options));
    this.#client.handleMessage = (packet, done) => this.#take(packet as IPublishPacket, done);
    this.#holdAcknowledgements();
    this.#listen();
    this.#keepalive = setInterval(() => this.#stayAlive(), options.keepaliveSeconds * 500);
  }

  get held(): number {
    return this.#receipts.held;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#goOn();
  }

  /** Asks the broker for topics. Returns what it refused, with the reason codes. */
  async subscribe(subscriptions: readonly BrokerSubscription[], retainHandling: 0 | 1): Promise<Map<string, number>> {
    const refused = new Map<string, number>();
    const alone = subscriptions.filter((one) => one.identifier === 0);
    for (let at = 0; at < alone.length; at += FILTERS_PER_SUBSCRIBE) {
      await this.#subscribe(alone.slice(at, at + FILTERS_PER_SUBSCRIBE), retainHandling, 0, refused);
    }
    const canIdentify =
      this.#version === 5 && this.#client.serverProperties?.subscriptionIdentifiersAvailable !== false;
    for (const one of subscriptions.filter((other) => other.identifier !== 0)) {
      await this.#subscribe([one], retainHandling, canIdentify ? one.identifier : 0, refused);
    }
    return refused;
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    if (filters.length > 0) await this.#client.unsubscribeAsync([...filters]);
  }

  /** Takes no more, waits up to `drainMs` for what is held, then says goodbye. What comes meanwhile comes again. */
  async leave(drainMs: number): Promise<void> {
    this.#isLeaving = true;
    this.#goOn();
    if (this.#receipts.held > 0 && !this.#isEnded) await this.#untilDrained(drainMs);
    this.#flush();
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

  #untilDrained(drainMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, drainMs);
      this.#drained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #listen(): void {
    const client = this.#client;
    client.on("connect", (packet) => {
      this.#wasConnected = true;
      // Small packets must not wait for each other's acknowledgement (Nagle): it costs 40 ms at high rates.
      (client.stream as unknown as Partial<Socket>).setNoDelay?.(true);
      this.#owner.opened(packet.sessionPresent);
    });
    client.on("disconnect", (packet) => {
      this.#end ??= { kind: "dismissed", code: packet.reasonCode ?? 0 };
      this.#close();
    });
    client.on("error", (error) => {
      this.#end ??= endOf(error, this.#wasConnected);
      this.#close();
    });
    client.on("close", () => this.#finish());
  }

  /** The library acknowledges as soon as it has handed a message over. Its packets are swallowed; ours are sent. */
  #holdAcknowledgements(): void {
    const internals = this.#client as unknown as ClientInternals;
    const send = internals._sendPacket;
    if (typeof send !== "function") throw new BusError("BUS_LIBRARY", { library: "mqtt", missing: "_sendPacket" });
    internals._sendPacket = (packet, done, ...rest) => {
      if (packet.cmd === "puback") done?.();
      else send.call(this.#client, packet, done, ...rest);
    };
  }

  #take(packet: IPublishPacket, done: Continue): void {
    // Not acknowledged, so the session has it for the next start.
    if (this.#isLeaving || this.#isEnded) {
      done();
      return;
    }
    const { properties } = packet;
    this.#owner.received(this.#message(packet), properties?.subscriptionIdentifier);
    if (this.#mustWait()) this.#proceed = done;
    else done();
  }

  #message(packet: IPublishPacket): BusMessage {
    const receipt = packet.qos === 1 ? this.#receipts.add(packet.messageId as number) : undefined;
    return toMessage(packet, receipt);
  }

  #mustWait(): boolean {
    return this.#isPaused || this.#receipts.held >= this.#maxUnacknowledged;
  }

  #goOn(): void {
    const proceed = this.#proceed;
    if (proceed === undefined || (this.#mustWait() && !this.#isLeaving)) return;
    this.#proceed = undefined;
    proceed();
  }

  #acknowledge(messageId: number): void {
    this.#released.push(messageId);
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    process.nextTick(() => {
      this.#flush();
      this.#goOn();
    });
  }

  /** All acknowledgements of one turn in one write. A PUBACK of four bytes says success in MQTT 3.1.1 and 5. */
  #flush(): void {
    this.#isFlushDue = false;
    const released = this.#released;
    if (released.length === 0 || this.#isEnded) return;
    this.#released = [];
    const bytes = Buffer.allocUnsafe(released.length * 4);
    for (const [at, messageId] of released.entries()) {
      bytes.writeUInt16BE((PUBACK << 8) | 2, at * 4);
      bytes.writeUInt16BE(messageId, at * 4 + 2);
    }
    if (!this.#client.stream.destroyed) this.#client.stream.write(bytes);
    if (this.#receipts.held === 0) this.#drained?.();
  }

  /** While reading stands still the broker's PINGRESP is not read either: pings go on, and nobody waits for answers. */
  #stayAlive(): void {
    if (this.#proceed === undefined || this.#isEnded) return;
    this.#client.sendPing();
    this.#client.reschedulePing(true);
  }

  async #subscribe(
    batch: readonly BrokerSubscription[],
    rh: 0 | 1,
    subscriptionIdentifier: number,
    refused: Map<string, number>,
  ): Promise<void> {
    const wanted = Object.fromEntries(
      batch.map((one) => [one.filter, { qos: one.qos, rap: false, nl: false, rh: one.retained ? rh : 2 }] as const),
    );
    const answer = await askFor(this.#client, wanted, subscriptionIdentifier);
    for (const [filter, code] of answer) refused.set(filter, code);
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
    clearInterval(this.#keepalive);
    this.#receipts.close();
    this.#proceed = undefined;
    this.#drained?.();
    this.#client.end(true);
    this.#owner.ended(this.#end ?? { kind: "closed", wasConnected: this.#wasConnected });
  }
}

function toMessage(packet: IPublishPacket, receipt: Receipt | undefined): BusMessage {
  const traceparent = packet.properties?.userProperties?.traceparent;
  return {
    topic: packet.topic,
    payload: packet.payload as Buffer,
    qos: packet.qos === 0 ? 0 : 1,
    retain: packet.retain,
    duplicate: packet.dup,
    traceparent: traceparent === undefined ? undefined : traceparentOf(traceparent),
    receipt,
  };
}

function clientOptions(options: ConnectionOptions): IClientOptions {
  const isSession = { sessionExpiryInterval: options.sessionExpirySeconds, receiveMaximum: options.maxUnacknowledged };
  const maximumPacketSize = Math.max(LEAST_PACKET_LIMIT_BYTES, 2 * options.maxPacketBytes);
  return {
    protocolVersion: options.version,
    clientId: options.clientId,
    // What is not acknowledged when we die is kept for us.
    clean: false,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepalive: options.keepaliveSeconds,
    resubscribe: false,
    queueQoSZero: false,
    log: NO_LOG,
    ...(options.version === 5
      ? { properties: { ...isSession, maximumPacketSize, requestProblemInformation: true } }
      : {}),
    ...credentialOptions(options.credentials),
  };
}
