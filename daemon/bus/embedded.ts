import { createServer, type Server, type Socket } from "node:net";
import type { Aedes, AuthenticateError, Client, PublishPacket } from "aedes";
import type { BusConfig } from "../../config/bus.ts";
import type { Clock } from "../clock.ts";
import type { Log, LogFields } from "../log.ts";
import { admit, isCarelesslyOpen } from "./access.ts";
import { assertKnownLibrary, limitPackets, OversizeSlot } from "./aedes-client.ts";
import { BrokerIntake, type Done, type Session } from "./broker-intake.ts";
import { type Bus, type BusMessage, type BusStatus, DRAIN_MS, type Subscription } from "./bus.ts";
import { BusError } from "./errors.ts";
import type { NamedFiles } from "./named-files.ts";
import { portOwner } from "./port-owner.ts";
import { Wait } from "./wait.ts";

export type EmbeddedBusConfig = Extract<BusConfig, { kind: "embedded" }>;

export interface EmbeddedBusDeps {
  readonly clock: Pick<Clock, "wallMs">;
  readonly log: Pick<Log, "debug" | "info" | "warn" | "error">;
  readonly files: Pick<NamedFiles, "secret">;
}

const DRAIN_TIMEOUT_MS = 15_000;
const EXCUSE_EVERY_MS = 5_000;
const FAREWELL_MS = 300;
const MOST_PACKET_BYTES = 16 * 1024 * 1024;
const TOPIC_BYTES = 65_540;
const COMPLAIN_EVERY_MS = 10_000;

type Authenticated = (error: AuthenticateError | null, isIn: boolean | null) => void;

/** MQTT 3.1.1, 3.2.2.3. */
const RETURN_CODES = { stopping: 3, passwordFile: 3, wrongPassword: 4, notAuthorized: 5 } as const;

/**
 * The LAN bus as a broker of our own. A message of QoS 1 that an agent asked for is acknowledged when its receipt is
 * released; the other clients get it then too. Sessions are in memory: what was not acknowledged when we die, the
 * sensor has to send again.
 */
export class EmbeddedBus implements Bus {
  readonly name = "bus";
  onMessage: (message: BusMessage) => void = () => {};
  /** Told of each message that a client may publish, as it comes, whatever the agents' intake does with it. */
  onArrival: (packet: PublishPacket) => void = () => {};
  readonly #deps: EmbeddedBusDeps;
  readonly #config: EmbeddedBusConfig;
  readonly #intake: BrokerIntake;
  readonly #sessions = new WeakMap<Client, Session>();
  readonly #sockets = new Set<Socket>();
  readonly #oversize = new OversizeSlot();
  readonly #complainedMs = new Map<string, number>();
  #broker: Aedes | undefined;
  #server: Server | undefined;
  #excuses: NodeJS.Timeout | undefined;
  #sinceMs: number;

  constructor(deps: EmbeddedBusDeps, config: EmbeddedBusConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#intake = new BrokerIntake(config.maxUnacknowledged, (message) => this.onMessage(message));
    this.#sinceMs = deps.clock.wallMs();
  }

  /** Undefined before the start, and from the stop on. */
  get broker(): Aedes | undefined {
    return this.#server === undefined ? undefined : this.#broker;
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { host, port, maxConnections } = this.#config;
    if (isCarelesslyOpen(this.#config)) {
      const hint = "Name users in bus.users, listen on 127.0.0.1, or say bus.anonymous: true.";
      throw new BusError("BUS_OPEN_TO_ALL", { host }, { hint });
    }
    const broker = await this.#createBroker();
    const server = createServer({ noDelay: true }, (socket) => this.#welcome(broker, socket));
    server.maxConnections = maxConnections;
    server.on("drop", () =>
      this.#complain({ reason: "tooManyConnections", count: maxConnections }, "bus refused a connection"),
    );
    try {
      await listen(server, host, port);
    } catch (cause) {
      await closeBroker(broker);
      throw listenError(cause, host, port);
    }
    this.#broker = broker;
    this.#server = server;
    this.#sinceMs = this.#deps.clock.wallMs();
    this.#excuses = setInterval(() => this.#intake.excuseSilence(), EXCUSE_EVERY_MS);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    const broker = this.#broker;
    if (server === undefined || broker === undefined) return;
    this.#server = undefined;
    const closed = new Wait();
    server.close(() => closed.done());
    this.#intake.leave();
    await this.#drain();
    // A reset would overtake the last acknowledgements, so sockets are ended, and destroyed only when that takes long.
    for (const socket of this.#sockets) socket.end();
    await closed.within(FAREWELL_MS);
    clearInterval(this.#excuses);
    await closeBroker(broker);
    for (const socket of this.#sockets) socket.destroy();
    await closed.within(FAREWELL_MS);
    this.#broker = undefined;
  }

  subscribe(wanted: readonly Subscription[]): void {
    this.#intake.want(wanted);
  }

  pause(): void {
    this.#intake.pause();
  }

  resume(): void {
    this.#intake.resume();
  }

  status(): BusStatus {
    const { host } = this.#config;
    const address = this.#server?.address();
    const port = typeof address === "object" && address !== null ? address.port : this.#config.port;
    return {
      kind: "embedded",
      address: `mqtt://${host.includes(":") ? `[${host}]` : host}:${port}`,
      connected: this.#server !== undefined,
      sinceMs: this.#sinceMs,
      reason: this.#server === undefined ? "The bus is not started." : undefined,
      heldAcknowledgements: this.#intake.held,
      paused: this.#intake.isPaused,
      copies: 0,
      clients: this.#broker?.connectedClients ?? 0,
    };
  }

  async #drain(): Promise<void> {
    const drained = new Wait();
    this.#intake.onDrained = () => drained.done();
    if (this.#intake.held > 0) await drained.within(DRAIN_MS);
    // The last acknowledgements are written with the loop's next turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #createBroker(): Promise<Aedes> {
    const { log } = this.#deps;
    // Loaded when it is needed: a gateway with a broker of its own does without the memory.
    const library = await import("aedes");
    const broker = await library.Aedes.createBroker({
      drainTimeout: DRAIN_TIMEOUT_MS,
      authenticate: (client, username, password, done) => this.#authenticate(client, username, password, done),
      authorizePublish: (client, packet, done) => this.#authorizePublish(client, packet, done),
      authorizeSubscribe: (client, wanted, done) =>
        done(null, this.#maySubscribe(client, wanted.topic) ? wanted : null),
    });
    broker.on("clientReady", (client) => this.#intake.connected(client));
    broker.on("clientError", (client, err) => log.debug({ part: "bus", from: client.id, err }, "client failed"));
    broker.on("connectionError", (_, err) => log.debug({ part: "bus", err }, "connection failed"));
    (broker as NodeJS.EventEmitter).on("error", (err) => log.error({ part: "bus", err }, "broker failed"));
    return broker;
  }

  #welcome(broker: Aedes, socket: Socket): void {
    const client = broker.handle(socket);
    assertKnownLibrary(client);
    const usualBytes = this.#config.maxPacketBytes + TOPIC_BYTES;
    const limits = { usualBytes, mostBytes: Math.max(MOST_PACKET_BYTES, usualBytes) };
    limitPackets(client, limits, this.#oversize, (bytes) =>
      // A sensor at QoS 1 comes back with the same message: somebody has to know which one it is.
      this.#complain({ from: client.id ?? "", reason: "packetTooLarge", bytes }, "bus cut off a client"),
    );
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#oversize.leave(client);
      const session = this.#sessions.get(client);
      if (session !== undefined) this.#intake.forget(session);
    });
  }

  #authenticate(client: Client, username: string | undefined, password: Buffer | undefined, done: Authenticated): void {
    const admission = admit(this.#config, this.#deps.files, username, password);
    if (admission.ok && this.#server !== undefined && !client.conn.destroyed) {
      this.#sessions.set(client, this.#intake.admit(client, admission.permission));
      done(null, true);
      return;
    }
    const reason = admission.ok ? "stopping" : admission.reason;
    const err = "cause" in admission ? { err: admission.cause } : {};
    this.#complain({ from: username ?? client.id, reason, ...err }, "bus refused a client");
    const error = Object.assign(new Error(reason), { returnCode: RETURN_CODES[reason] });
    done(error as AuthenticateError, false);
  }

  #maySubscribe(client: Client, topic: string): boolean {
    const isAllowed = this.#sessions.get(client)?.permission.maySubscribe(topic) === true;
    if (!isAllowed) this.#complain({ from: client.id, topic, reason: "notAuthorized" }, "bus refused a subscription");
    return isAllowed;
  }

  #authorizePublish(client: Client | null, packet: PublishPacket, done: Done): void {
    const session = client === null ? undefined : this.#sessions.get(client);
    if (session?.permission.mayPublish(packet.topic) === true) {
      this.onArrival(packet);
      this.#intake.publish(session, packet, done);
      return;
    }
    this.#complain({ from: client?.id ?? "", topic: packet.topic, reason: "notAuthorized" }, "bus refused a message");
    // MQTT 3.1.1 has no other way to tell than to hang up: an acknowledgement would be a lie.
    done(new Error("not authorized to publish"));
  }

  /** At a steady rate one line of a kind says as much as all of them. */
  #complain(fields: LogFields, text: string): void {
    const nowMs = this.#deps.clock.wallMs();
    if (Math.abs(nowMs - (this.#complainedMs.get(text) ?? 0)) < COMPLAIN_EVERY_MS) return;
    this.#complainedMs.set(text, nowMs);
    this.#deps.log.warn({ part: "bus", ...fields }, text);
  }
}

function closeBroker(broker: Aedes): Promise<void> {
  return new Promise((resolve) => broker.close(() => resolve()));
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

function listenError(cause: unknown, host: string, port: number): BusError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code !== "EADDRINUSE") {
    return new BusError(
      "BUS_ADDRESS",
      { host, port, code },
      { cause, hint: "bus.host must be an address of this machine; ports below 1024 need a privilege." },
    );
  }
  const owner = portOwner(port);
  const who = owner === undefined ? "Another program" : `${owner.program} (process ${owner.pid})`;
  const hint = `${who} listens on port ${port}. Stop it, choose another bus.port, or use it as the bus: { kind: external, url: "mqtt://${host}:${port}" }.`;
  return new BusError("BUS_PORT_TAKEN", { host, port, pid: owner?.pid, program: owner?.program }, { cause, hint });
}
