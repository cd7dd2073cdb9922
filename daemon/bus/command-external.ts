import type { BusConfig } from "../../config/bus.ts";
import type { BusCommand, BusReading, Gate, Sent } from "../act/tool.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { Attempts } from "./attempts.ts";
import { ANSWERS_WITHIN_MS, type CommandBusPart, DRAINED_WITHIN_MS } from "./command-bus.ts";
import type { CommandConnection, CommandConnectionOwner } from "./command-connection.ts";
import { type ConnectionEnd, describeEnd, reasonWords } from "./connection-end.ts";
import { coveringSet } from "./covering.ts";
import { type Credentials, fileProblem, readCredentials } from "./credentials.ts";
import type { NamedFiles } from "./named-files.ts";
import { Wait } from "./wait.ts";

export interface ExternalCommandBusDeps {
  readonly clock: Pick<Clock, "bootMs">;
  readonly log: Pick<Log, "debug" | "info" | "warn">;
  readonly files: NamedFiles;
  readonly random?: () => number;
}

const FIRST_CONNECTION_MS = 5_000;
const REFUSED_SUBSCRIPTION_RETRY_MS = 60_000;
const PART = "commands";

/** Commands through a broker that is there, on a connection apart from that of the sensors. Connects again for ever. */
export class ExternalCommandBus implements CommandBusPart, CommandConnectionOwner {
  readonly name = PART;
  onReading: (reading: BusReading) => void = () => {};
  readonly #deps: ExternalCommandBusDeps;
  readonly #config: Extract<BusConfig, { kind: "external" }>;
  readonly #clientId: string;
  readonly #attempts = new Attempts();
  readonly #ready = new Wait();
  readonly #over = new Wait();
  readonly #waiting = new Set<() => void>();
  #filters: readonly string[] = [];
  #library: { readonly CommandConnection: typeof CommandConnection } | undefined;
  #connection: CommandConnection | undefined;
  #isConnected = false;
  #isStopping = false;
  #reason: string | undefined = "The bus is not started.";
  #subscriptionProblem: string | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(deps: ExternalCommandBusDeps, config: Extract<BusConfig, { kind: "external" }>, deviceName: string) {
    this.#deps = deps;
    this.#config = config;
    this.#clientId = `${config.clientId ?? `holdfast-${deviceName}`}-act`;
  }

  get isConnected(): boolean {
    return this.#isConnected && !this.#isStopping;
  }

  get reason(): string | undefined {
    return this.#reason;
  }

  watch(filters: readonly string[]): void {
    const wanted = [...new Set(filters)].map((filter) => ({ filter, qos: 1, retained: true }) as const);
    this.#filters = coveringSet(wanted).map((one) => one.filter);
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#reason = "The first connection is being made.";
    // Loaded when it is needed: a gateway that is its own broker does without the memory.
    this.#library = await import("./command-connection.ts");
    this.#connect();
    await this.#ready.within(FIRST_CONNECTION_MS);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#retry);
    for (const go of this.#waiting) go();
    const connection = this.#connection;
    if (connection === undefined) return;
    await connection.leave(ANSWERS_WITHIN_MS);
    await this.#over.within(1_000);
  }

  async publish(command: BusCommand, gate: Gate, signal: AbortSignal): Promise<Sent> {
    const connection = this.isConnected ? this.#connection : undefined;
    if (connection === undefined) return { kind: "failed", reason: "notConnected", left: false };
    return await connection.publish(command, gate, signal);
  }

  async connected(signal: AbortSignal): Promise<void> {
    if (this.isConnected || this.#isStopping || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        this.#waiting.delete(go);
        signal.removeEventListener("abort", go);
        resolve();
      };
      this.#waiting.add(go);
      signal.addEventListener("abort", go, { once: true });
    });
  }

  async drained(): Promise<void> {
    await this.#connection?.drained(DRAINED_WITHIN_MS);
  }

  opened(): void {
    this.#attempts.opened(this.#deps.clock.bootMs());
    void this.#ask();
  }

  received(reading: BusReading): void {
    this.onReading(reading);
  }

  ended(end: ConnectionEnd): void {
    this.#connection = undefined;
    this.#isConnected = false;
    clearTimeout(this.#retry);
    this.#over.done();
    if (this.#isStopping) return;
    const delayMs = this.#attempts.ended(end, this.#deps.clock.bootMs(), (this.#deps.random ?? Math.random)());
    this.#say(end, delayMs);
    this.#ready.done();
    this.#retry = setTimeout(() => this.#connect(), delayMs);
  }

  /** A reason is logged when it is a new one: a broker that is away for a day is one line, not thousands. */
  #say(end: ConnectionEnd, delayMs: number): void {
    const reason = describeEnd(end);
    if (reason !== this.#reason) {
      this.#deps.log.warn(
        { part: PART, bus: this.#config.url, reason, attempt: this.#attempts.count, delayMs },
        "commands are not connected",
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
    this.#connection = new this.#library.CommandConnection(options, this);
  }

  /** Connected only with the subscriptions in place: the readback of a command must not be missed. */
  async #ask(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    try {
      const refused = await connection.subscribe(this.#filters);
      if (connection === this.#connection) this.#becameReady(refused);
    } catch (err) {
      // The connection is on its way down and says why itself; if not, it is of no use to us.
      this.#deps.log.debug({ part: PART, err }, "subscribing failed");
      if (connection === this.#connection) await connection.leave(0);
    }
  }

  #becameReady(refused: ReadonlyMap<string, number>): void {
    const bus = this.#config.url;
    if (!this.#isConnected) {
      const version = this.#attempts.version === 5 ? "5" : "3.1.1";
      this.#deps.log.info({ part: PART, bus, version }, "commands are connected");
    }
    this.#isConnected = true;
    this.#reason = undefined;
    this.#ready.done();
    for (const go of this.#waiting) go();
    const [first] = refused;
    const problem = first === undefined ? undefined : `${first[0]}: ${reasonWords(first[1])}`;
    const isNew = problem !== this.#subscriptionProblem;
    this.#subscriptionProblem = problem;
    if (first === undefined) return;
    const [topic, code] = first;
    if (isNew) this.#deps.log.warn({ part: PART, bus, topic, reason: reasonWords(code) }, "bus refuses a subscription");
    this.#retry = setTimeout(() => void this.#ask(), REFUSED_SUBSCRIPTION_RETRY_MS);
  }
}
