import type { BusConfig } from "../../config/bus.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { TopicCache, topicMatches } from "../sources/topics.ts";
import { Attempts } from "./attempts.ts";
import { type Bus, type BusMessage, type BusStatus, DRAIN_MS, type Subscription } from "./bus.ts";
import { type ConnectionEnd, describeEnd, reasonWords } from "./connection-end.ts";
import { type BrokerSubscription, coveringSet } from "./covering.ts";
import { type Credentials, fileProblem, readCredentials } from "./credentials.ts";
import type { BrokerConnection, ConnectionOwner } from "./external.ts";
import type { NamedFiles } from "./named-files.ts";
import type { SessionMemory } from "./session-memory.ts";
import { Wait } from "./wait.ts";

export type ExternalBusConfig = Extract<BusConfig, { kind: "external" }>;

export interface ExternalBusDeps {
  readonly clock: Pick<Clock, "wallMs" | "bootMs">;
  readonly log: Pick<Log, "debug" | "info" | "warn">;
  readonly files: NamedFiles;
  readonly memory: SessionMemory;
  readonly random?: () => number;
}

const FIRST_CONNECTION_MS = 5_000;
const REFUSED_SUBSCRIPTION_RETRY_MS = 60_000;
const MAX_CACHED_TOPICS = 10_000;

/** The LAN bus as a client of a broker that is there. Connects again for ever; a reason for each failure, said once. */
export class ExternalBus implements Bus, ConnectionOwner {
  readonly name = "bus";
  onMessage: (message: BusMessage) => void = () => {};
  readonly #deps: ExternalBusDeps;
  readonly #config: ExternalBusConfig;
  readonly #clientId: string;
  readonly #attempts = new Attempts();
  #plan: readonly BrokerSubscription[] = [];
  #primary = new TopicCache<number>(MAX_CACHED_TOPICS);
  #library: { readonly BrokerConnection: typeof BrokerConnection } | undefined;
  #connection: BrokerConnection | undefined;
  #isConnected = false;
  #hasOpenedBefore = false;
  #sinceMs: number;
  #reason: string | undefined;
  #subscriptionProblem: string | undefined;
  #isPaused = false;
  #copies = 0;
  #retry: NodeJS.Timeout | undefined;
  #isStopping = false;
  #asking = Promise.resolve();
  readonly #ready = new Wait();
  readonly #over = new Wait();

  constructor(deps: ExternalBusDeps, config: ExternalBusConfig, deviceName: string) {
    this.#deps = deps;
    this.#config = config;
    this.#clientId = config.clientId ?? `holdfast-${deviceName}`;
    this.#sinceMs = deps.clock.wallMs();
    this.#reason = "The bus is not started.";
  }

  /** Waits for the first connection or the first failure, not for a broker that is away. */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#reason = "The first connection is being made.";
    // Loaded when it is needed: a gateway that is its own broker does without the memory.
    this.#library = await import("./external.ts");
    this.#connect();
    await this.#ready.within(FIRST_CONNECTION_MS);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#retry);
    const connection = this.#connection;
    if (connection === undefined) return;
    await connection.leave(DRAIN_MS);
    await this.#over.within(1_000);
  }

  subscribe(wanted: readonly Subscription[]): void {
    this.#plan = coveringSet(wanted);
    this.#primary = new TopicCache(MAX_CACHED_TOPICS);
    if (this.#isConnected) this.#ask(true);
  }

  pause(): void {
    this.#isPaused = true;
    this.#connection?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#connection?.resume();
  }

  status(): BusStatus {
    return {
      kind: "external",
      address: this.#config.url,
      connected: this.#isConnected,
      sinceMs: this.#sinceMs,
      reason: this.#reason ?? this.#subscriptionProblem,
      heldAcknowledgements: this.#connection?.held ?? 0,
      paused: this.#isPaused,
      copies: this.#copies,
      clients: undefined,
    };
  }

  opened(hasSession: boolean): void {
    this.#attempts.opened(this.#deps.clock.bootMs());
    this.#ask(hasSession);
  }

  received(message: BusMessage, identifiers: number | readonly number[] | undefined): void {
    if (identifiers !== undefined && this.#isCopy(message.topic, identifiers)) {
      this.#copies += 1;
      message.receipt?.release();
      return;
    }
    this.onMessage(message);
  }

  ended(end: ConnectionEnd): void {
    const wasConnected = this.#isConnected;
    this.#connection = undefined;
    this.#isConnected = false;
    clearTimeout(this.#retry);
    this.#over.done();
    if (this.#isStopping) return;
    const { clock } = this.#deps;
    if (wasConnected) this.#sinceMs = clock.wallMs();
    const delayMs = this.#attempts.ended(end, clock.bootMs(), (this.#deps.random ?? Math.random)());
    this.#say(end, delayMs);
    this.#ready.done();
    this.#retry = setTimeout(() => this.#connect(), delayMs);
  }

  /** A reason is logged when it is a new one: a broker that is away for a day is one line, not thousands. */
  #say(end: ConnectionEnd, delayMs: number): void {
    const reason = describeEnd(end);
    if (reason !== this.#reason) {
      this.#deps.log.warn(
        { part: "bus", bus: this.#config.url, reason, attempt: this.#attempts.count, delayMs },
        "bus is not connected",
      );
    }
    this.#reason = reason;
  }

  #connect(): void {
    if (this.#isStopping || this.#library === undefined) return;
    let credentials: Credentials;
    try {
      credentials = readCredentials(this.#config, this.#deps.files);
    } catch (error) {
      this.ended({ kind: "file", message: fileProblem(error) });
      return;
    }
    const options = { ...this.#config, clientId: this.#clientId, version: this.#attempts.version, credentials };
    this.#connection = new this.#library.BrokerConnection(options, this, this.#isPaused);
  }

  /** One after the other, so that a change of plan in the middle of an earlier one ends with the newest. */
  #ask(hasSession: boolean): void {
    this.#asking = this.#asking.then(() => this.#askNow(hasSession));
  }

  /** Makes the broker's subscriptions ours: takes back what an earlier configuration asked for, asks for the rest. */
  async #askNow(hasSession: boolean): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { memory } = this.#deps;
    const session = `${this.#clientId} ${this.#config.url}`;
    const plan = this.#plan;
    const filters = plan.map((one) => one.filter);
    try {
      const before = hasSession ? memory.read(session) : [];
      memory.write(session, [...new Set([...before, ...filters])]);
      await connection.unsubscribe(before.filter((one) => !filters.includes(one)));
      // Stored messages at the first connection of this start; later the broker's session knows what we have.
      const refused = await connection.subscribe(plan, this.#hasOpenedBefore ? 1 : 0);
      memory.write(session, filters);
      if (connection === this.#connection) this.#becameReady(refused, connection);
    } catch (err) {
      // The connection is on its way down and says why itself; if not, it is of no use to us.
      this.#deps.log.debug({ part: "bus", err }, "subscribing failed");
      if (connection === this.#connection) await connection.leave(0);
    }
  }

  #becameReady(refused: ReadonlyMap<string, number>, connection: BrokerConnection): void {
    if (!this.#isConnected) {
      this.#sinceMs = this.#deps.clock.wallMs();
      this.#deps.log.info(
        { part: "bus", bus: this.#config.url, version: this.#attempts.version === 5 ? "5" : "3.1.1" },
        "bus is connected",
      );
    }
    this.#isConnected = true;
    this.#hasOpenedBefore = true;
    this.#reason = undefined;
    this.#ready.done();
    const problem = refusedWords(refused);
    if (problem !== undefined && problem !== this.#subscriptionProblem) {
      this.#deps.log.warn({ part: "bus", bus: this.#config.url, reason: problem }, "bus refuses a subscription");
    }
    this.#subscriptionProblem = problem;
    clearTimeout(this.#retry);
    if (problem === undefined) return;
    this.#retry = setTimeout(() => {
      if (connection === this.#connection) this.#ask(true);
    }, REFUSED_SUBSCRIPTION_RETRY_MS);
  }

  /**
   * A broker may send a message once for each subscription that matches. Of those that can, the one with the lowest
   * identifier counts; a message whose subscription is no longer ours counts too, rather than being lost.
   */
  #isCopy(topic: string, identifiers: number | readonly number[]): boolean {
    const ids = typeof identifiers === "number" ? [identifiers] : identifiers;
    let primary = this.#primary.get(topic);
    if (primary === undefined) {
      const matching = this.#plan.filter((one) => one.identifier !== 0 && topicMatches(one.filter, topic));
      primary = matching.reduce((lowest, one) => Math.min(lowest, one.identifier), Number.POSITIVE_INFINITY);
      this.#primary.set(topic, primary);
    }
    if (ids.includes(primary)) return false;
    return ids.some((id) => this.#plan.some((one) => one.identifier === id));
  }
}

function refusedWords(refused: ReadonlyMap<string, number>): string | undefined {
  const [first] = refused;
  if (first === undefined) return undefined;
  const more = refused.size > 1 ? ` and ${refused.size - 1} more` : "";
  return `The broker refuses the subscription ${first[0]}${more}: ${reasonWords(first[1])}.`;
}
