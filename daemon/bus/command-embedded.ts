import { setTimeout as sleep } from "node:timers/promises";
import type { Aedes, PublishPacket } from "aedes";
import type { BusCommand, BusReading, Gate, Sent } from "../act/tool.ts";
import { TopicCache, topicMatches } from "../sources/topics.ts";
import { storedMessages, subscriptions } from "./aedes-client.ts";
import { ANSWERS_WITHIN_MS, type CommandBusPart, DRAINED_WITHIN_MS } from "./command-bus.ts";
import type { EmbeddedBus } from "./embedded.ts";
import { EmbeddedDelivery, type Laggard, type Subscriber } from "./embedded-delivery.ts";
import { PendingPublish } from "./pending-publish.ts";
import { MOST_PACKET_BYTES, publishProblem } from "./publish-packet.ts";

const MAX_CACHED_TOPICS = 10_000;
const LOOK_EVERY_MS = 5;
/** Aedes has no bound of its own here, and MQTT 3.1.1 none at all. */
const LIMITS = { version: 4, maximumPacketBytes: MOST_PACKET_BYTES, takesQos1: true } as const;
const NO_SUBSCRIBER: Sent = { kind: "failed", reason: "noSubscriber", left: false, permanent: true };

/**
 * Commands on our own broker. They go to the clients that are connected and have subscribed, and to nobody else: past
 * the library's queues, which would keep them for absent sessions and deliver them when they come back. Acknowledged
 * means that each subscriber of QoS 1 has acknowledged it itself; to those of QoS 0 it was written.
 */
export class EmbeddedCommandBus implements CommandBusPart {
  readonly name = "commands";
  onReading: (reading: BusReading) => void = () => {};
  readonly #bus: EmbeddedBus;
  readonly #delivery = new EmbeddedDelivery();
  #filters: readonly string[] = [];
  #isWatched = new TopicCache<boolean>(MAX_CACHED_TOPICS);
  #subscribers = new TopicCache<readonly Subscriber[]>(MAX_CACHED_TOPICS);
  #state: "new" | "started" | "stopping" = "new";
  #waiting: (() => void)[] = [];

  constructor(bus: EmbeddedBus) {
    this.#bus = bus;
  }

  get isConnected(): boolean {
    return this.#broker() !== undefined;
  }

  get reason(): string | undefined {
    return this.isConnected ? undefined : "The bus is not started.";
  }

  watch(filters: readonly string[]): void {
    this.#filters = [...new Set(filters)];
    this.#isWatched = new TopicCache(MAX_CACHED_TOPICS);
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { broker } = this.#bus;
    if (broker === undefined) throw new Error("the bus has to be started first");
    this.#state = "started";
    const forget = (): void => {
      this.#subscribers = new TopicCache(MAX_CACHED_TOPICS);
    };
    for (const event of ["subscribe", "unsubscribe", "connackSent", "clientReady", "clientDisconnect"]) {
      (broker as NodeJS.EventEmitter).on(event, forget);
    }
    this.#bus.onArrival = (packet) => this.#arrived(packet);
    for (const go of this.#waiting.splice(0)) go();
    await this.#readStored(broker);
  }

  async stop(): Promise<void> {
    this.#state = "stopping";
    for (const go of this.#waiting.splice(0)) go();
    await this.#stillOnTheWay(ANSWERS_WITHIN_MS);
    this.#bus.onArrival = () => {};
  }

  async publish(command: BusCommand, gate: Gate, signal: AbortSignal): Promise<Sent> {
    const broker = this.#broker();
    if (broker === undefined) return { kind: "failed", reason: "notConnected", left: false };
    const problem = publishProblem(command, LIMITS);
    if (problem !== undefined) return { kind: "failed", reason: problem, left: false, permanent: true };
    const subscribers = this.#subscribersOf(broker, command.topic).filter(isThere);
    if (subscribers.length === 0) return NO_SUBSCRIBER;
    if (!this.#delivery.hasRoom(subscribers)) return { kind: "failed", reason: "busy", left: false };
    const pending = new PendingPublish(command, gate, signal);
    if (pending.mayLeave()) this.#delivery.deliver(pending, subscribers);
    return await pending.result;
  }

  async connected(signal: AbortSignal): Promise<void> {
    if (this.#state !== "new" || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#waiting.push(() => {
        signal.removeEventListener("abort", resolve as () => void);
        resolve();
      });
      signal.addEventListener("abort", resolve as () => void, { once: true });
    });
  }

  async drained(): Promise<void> {
    for (const laggard of await this.#stillOnTheWay(DRAINED_WITHIN_MS)) laggard.cutOff();
  }

  /** Who of those with something on the way has not taken it after so long. */
  async #stillOnTheWay(limitMs: number): Promise<Laggard[]> {
    let laggards = this.#delivery.onTheWay();
    for (let waitedMs = 0; ; waitedMs += LOOK_EVERY_MS) {
      laggards = laggards.filter((one) => one.isThere());
      if (laggards.length === 0 || waitedMs >= limitMs) return laggards;
      await sleep(LOOK_EVERY_MS);
    }
  }

  #broker(): Aedes | undefined {
    return this.#state === "started" ? this.#bus.broker : undefined;
  }

  /** Each client once, with the best of its subscriptions that match: a command must not come twice. */
  #subscribersOf(broker: Aedes, topic: string): readonly Subscriber[] {
    const known = this.#subscribers.get(topic);
    if (known !== undefined) return known;
    const found: Subscriber[] = [];
    for (const [client, filters] of subscriptions(broker)) {
      const granted = [...filters].filter(([filter]) => topicMatches(filter, topic)).map(([, qos]) => qos);
      if (granted.length > 0) found.push({ client, qos: Math.max(...granted) > 0 ? 1 : 0 });
    }
    this.#subscribers.set(topic, found);
    return found;
  }

  #arrived(packet: PublishPacket): void {
    if (this.#state !== "started" || !this.#watches(packet.topic)) return;
    this.onReading({ topic: packet.topic, payload: packet.payload as Buffer, retained: false });
  }

  #watches(topic: string): boolean {
    const known = this.#isWatched.get(topic);
    if (known !== undefined) return known;
    const isWatched = this.#filters.some((filter) => topicMatches(filter, topic));
    this.#isWatched.set(topic, isWatched);
    return isWatched;
  }

  /** What clients had stored before we watched. */
  async #readStored(broker: Aedes): Promise<void> {
    for await (const { topic, payload } of storedMessages(broker, this.#filters)) {
      this.onReading({ topic, payload, retained: true });
    }
  }
}

function isThere({ client }: Subscriber): boolean {
  return !client.closed && client.conn.writable;
}
