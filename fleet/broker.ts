import { connect, type IClientOptions, type MqttClient } from "mqtt";

export interface BrokerOptions {
  readonly urls: readonly string[];
  readonly clientId: string;
  readonly username: string | undefined;
  readonly serverName: string | undefined;
  readonly filters: readonly string[];
}

export interface BrokerDeps {
  readonly files: () => {
    readonly ca?: string | undefined;
    readonly certificate?: string | undefined;
    readonly key?: string | undefined;
    readonly password?: string | undefined;
  };
  /** Resolves when the next message may come. */
  readonly heard: (topic: string, payload: Uint8Array) => Promise<void>;
  readonly random: () => number;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

const KEEPALIVE_SECONDS = 30;
const RECEIVE_MAXIMUM = 16;
const MOST_PACKET_BYTES = 262_144;
const BASE_MS = 500;
const CAP_MS = 30_000;
const STABLE_MS = 30_000;
const SUBSCRIBE_REFUSED = 0x80;

/**
 * A collector's connection to the broker, made again whenever it ends: clean start and no session, since a broker keeps
 * the share of a member that is away, and what is lost with a session comes again from the gateway.
 */
export class FleetBroker {
  readonly name = "broker";
  readonly #deps: BrokerDeps;
  readonly #options: BrokerOptions;
  #client: MqttClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #attempt = 0;
  #at = 0;
  #isStopping = false;
  isConnected = false;

  constructor(deps: BrokerDeps, options: BrokerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#connect();
  }

  /** Takes no more; what is to be said can still be. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    if (client === undefined) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, 1000);
      client.end(false, () => {
        clearTimeout(late);
        resolve();
      });
    });
    client.end(true);
  }

  /** Says something, if there is a connection: who does not hear it asks again. */
  publish({ topic, payload, expirySeconds }: { topic: string; payload: string; expirySeconds: number }): void {
    if (!this.isConnected) return;
    this.#client?.publish(
      topic,
      payload,
      { qos: 1, properties: { messageExpiryInterval: expirySeconds } },
      () => undefined,
    );
  }

  #connect(): void {
    const url = this.#options.urls[this.#at % this.#options.urls.length] ?? "";
    let client: MqttClient;
    try {
      client = connect(url, this.#clientOptions());
    } catch (err) {
      this.#ended(err as Error, url);
      return;
    }
    this.#client = client;
    let why: Error | undefined;
    let isOver = false;
    const openedAt = { ms: 0 };
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      client.end(true);
      this.isConnected = false;
      if (openedAt.ms > 0 && performance.now() - openedAt.ms > STABLE_MS) this.#attempt = 0;
      this.#ended(why, url);
    };
    client.handleMessage = (packet, done) => {
      this.#deps.heard(packet.topic, packet.payload as Buffer).then(
        () => done(),
        (error: Error) => done(error),
      );
    };
    client.on("connect", () => {
      openedAt.ms = performance.now();
      client.subscribe([...this.#options.filters], { qos: 1 }, (error, granted) => {
        const refused = granted?.find(({ qos }) => qos >= SUBSCRIBE_REFUSED);
        why ??= error ?? (refused === undefined ? undefined : new Error(`the broker refused ${refused.topic}`));
        if (why !== undefined && why !== null) return end();
        this.isConnected = true;
        this.#deps.log.info({ bus: url }, "collects from the broker");
      });
    });
    client.on("error", (error: Error) => {
      why ??= error;
      end();
    });
    client.on("close", end);
  }

  #ended(why: Error | undefined, url: string): void {
    if (this.#isStopping) return;
    const delayMs = this.#deps.random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(this.#attempt, 10));
    this.#attempt += 1;
    this.#at += 1;
    if (this.#attempt <= 3 || this.#attempt % 20 === 0)
      this.#deps.log.warn(
        { bus: url, reason: why?.message ?? "closed", attempt: this.#attempt },
        "no connection to the broker",
      );
    this.#timer = setTimeout(() => this.#connect(), delayMs);
  }

  #clientOptions(): IClientOptions {
    const { ca, certificate, key, password } = this.#deps.files();
    const { clientId, username, serverName } = this.#options;
    return {
      ...{ protocolVersion: 5, clientId, clean: true, reconnectPeriod: 0, connectTimeout: 15_000 },
      ...{ keepalive: KEEPALIVE_SECONDS, queueQoSZero: false, resubscribe: false },
      properties: { sessionExpiryInterval: 0, receiveMaximum: RECEIVE_MAXIMUM, maximumPacketSize: MOST_PACKET_BYTES },
      minVersion: "TLSv1.2",
      ...(ca === undefined ? {} : { ca }),
      ...(certificate === undefined ? {} : { cert: certificate }),
      ...(key === undefined ? {} : { key }),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(serverName === undefined ? {} : { servername: serverName }),
    } as IClientOptions;
  }
}
