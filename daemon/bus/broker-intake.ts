import type { Client, PublishPacket } from "aedes";
import { TopicCache, topicMatches } from "../sources/topics.ts";
import type { Permission } from "./access.ts";
import { excuseSilence, readOn, resumeReading, stopReading } from "./aedes-client.ts";
import type { BusMessage, Receipt, Subscription } from "./bus.ts";
import { OrderedReceipts } from "./ordered-receipts.ts";

/** The broker goes on with a message: acknowledges it, and hands it to the other clients. */
export type Done = (error?: Error | null) => void;

/** A client that was let in, and what of it waits. */
export interface Session {
  readonly client: Client;
  readonly permission: Permission;
  readonly receipts: OrderedReceipts<Done>;
  isReadingOn: boolean;
  /** Nothing more is read from it: a message of its waits. */
  isStopped: boolean;
  isGone: boolean;
}

/** A message that came while there was no room. */
interface Waiting {
  readonly session: Session;
  readonly packet: PublishPacket;
  readonly done: Done;
}

const NOT_WANTED = -1;
const MAX_CACHED_TOPICS = 10_000;

/**
 * What the broker's clients publish, on its way to the agents. Those of QoS 1 that an agent asked for go on in the
 * broker when they are released. While paused, or with too many unreleased, a client that sends such a message is read
 * no further; the others are: their answers to commands must not wait for the agents.
 */
export class BrokerIntake {
  readonly #maxUnacknowledged: number;
  readonly #hand: (message: BusMessage) => void;
  readonly #present = new Set<Session>();
  #wanted: readonly Subscription[] = [];
  #wants = new TopicCache<number>(MAX_CACHED_TOPICS);
  #waiting: Waiting[] = [];
  #held = 0;
  #isPaused = false;
  #isStalled = false;
  #isHandingOn = false;
  #isLeaving = false;
  /** Called when nothing is held any more. */
  onDrained: () => void = () => {};

  constructor(maxUnacknowledged: number, hand: (message: BusMessage) => void) {
    this.#maxUnacknowledged = maxUnacknowledged;
    this.#hand = hand;
  }

  get held(): number {
    return this.#held;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  want(wanted: readonly Subscription[]): void {
    this.#wanted = wanted;
    this.#wants = new TopicCache(MAX_CACHED_TOPICS);
  }

  admit(client: Client, permission: Permission): Session {
    const receipts = new OrderedReceipts<Done>((done) => {
      this.#held -= 1;
      done(null);
      if (this.#isStalled) this.#goOn();
      if (this.#held === 0) this.onDrained();
    });
    const session = { client, permission, receipts, isReadingOn: false, isStopped: false, isGone: false };
    this.#present.add(session);
    return session;
  }

  /** Receipts of a client that is gone release nothing: it sends again what was not acknowledged. */
  forget(session: Session): void {
    if (!this.#present.delete(session)) return;
    session.isGone = true;
    this.#held -= session.receipts.held;
    session.receipts.close();
    if (this.#held === 0) this.onDrained();
    if (this.#isStalled) this.#goOn();
  }

  publish(session: Session, packet: PublishPacket, done: Done): void {
    const wanted = this.#wantedQos(packet.topic);
    if (wanted === NOT_WANTED) done(null);
    else if (this.#isPaused || (this.#isFull() && isAcknowledged(packet))) {
      this.#waiting.push({ session, packet, done });
      this.#isStalled = true;
      session.isStopped = true;
      stopReading(session.client);
    } else this.#take(session, packet, wanted, done);
  }

  pause(): void {
    this.#isPaused = true;
    this.#isStalled = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#goOn();
  }

  /** Takes nothing more. What is held may still be released. */
  leave(): void {
    this.#isLeaving = true;
    this.#waiting = [];
  }

  /** Clients that are not read are not to be thrown out for their silence. To be called now and then. */
  excuseSilence(): void {
    for (const { client, isStopped } of this.#present) if (isStopped) excuseSilence(client);
  }

  /** The library reads a client as soon as it is connected, whatever was said before. */
  connected(client: Client): void {
    for (const session of this.#present) if (session.client === client && session.isStopped) stopReading(client);
  }

  #take(session: Session, packet: PublishPacket, wanted: number, done: Done): void {
    if (wanted === 0 || !isAcknowledged(packet)) {
      if (!this.#isLeaving) this.#hand(toMessage(packet, undefined));
      done(null);
      return;
    }
    // Not acknowledged, so the sensor will send it again.
    if (this.#isLeaving || session.isGone) return;
    this.#held += 1;
    const receipt = session.receipts.add(done);
    this.#readOn(session);
    this.#hand(toMessage(packet, receipt));
  }

  /** Held messages do not keep their client from being read: pings and QoS 0 go on, until there is no room. */
  #readOn(session: Session): void {
    if (session.isReadingOn) return;
    session.isReadingOn = true;
    setImmediate(() => {
      session.isReadingOn = false;
      if (!session.isStopped && !session.isGone) readOn(session.client);
    });
  }

  #isFull(): boolean {
    return this.#held >= this.#maxUnacknowledged;
  }

  /** Hands on what waited, as far as there is room, and reads again when all of it is gone. */
  #goOn(): void {
    // Handing on may release at once, which ends here again.
    if (this.#isHandingOn || this.#isLeaving) return;
    this.#isHandingOn = true;
    let at = 0;
    for (; at < this.#waiting.length && this.#hasRoom(); at += 1) {
      const { session, packet, done } = this.#waiting[at] as Waiting;
      this.#take(session, packet, this.#wantedQos(packet.topic), done);
    }
    this.#waiting = this.#waiting.slice(at);
    this.#isHandingOn = false;
    if (this.#waiting.length > 0 || !this.#hasRoom()) return;
    this.#isStalled = false;
    for (const session of this.#present) {
      if (!session.isStopped) continue;
      session.isStopped = false;
      resumeReading(session.client);
      this.#readOn(session);
    }
  }

  #hasRoom(): boolean {
    return !this.#isPaused && !this.#isFull();
  }

  #wantedQos(topic: string): number {
    const known = this.#wants.get(topic);
    if (known !== undefined) return known;
    const matching = this.#wanted.filter((one) => topicMatches(one.filter, topic));
    const qos = matching.reduce<number>((highest, one) => Math.max(highest, one.qos), NOT_WANTED);
    this.#wants.set(topic, qos);
    return qos;
  }
}

/** A will has no sender any more that could wait; QoS 2 is acknowledged (PUBREC) like QoS 1. */
function isAcknowledged(packet: PublishPacket): boolean {
  return packet.qos > 0 && packet.messageId !== undefined;
}

function toMessage(packet: PublishPacket, receipt: Receipt | undefined): BusMessage {
  return {
    topic: packet.topic,
    payload: packet.payload as Buffer,
    qos: receipt === undefined ? 0 : 1,
    // Live, even where the sensor asked for it to be stored too.
    retain: false,
    duplicate: packet.dup,
    traceparent: undefined,
    receipt,
  };
}
