import { randomBytes } from "node:crypto";
import { connect as connectTls } from "node:tls";
import { type BackoffLimits, backoffMs, usualBackoff } from "./backoff.ts";
import { SyncError } from "./errors.ts";
import { type ClientEnd, LinkClient, type Outgoing } from "./link-client.ts";
import { wireVersion } from "./messages.ts";
import { throughProxy } from "./proxy.ts";
import { type KnownReason, networkReason, type Reason, reasonOf } from "./reasons.ts";
import { gatewayTopics } from "./topics.ts";

export interface LinkOptions {
  readonly fleet: string;
  readonly gateway: string;
  readonly brokers: readonly string[];
  readonly username?: string | undefined;
  readonly serverName?: string | undefined;
  readonly proxy?: string | undefined;
  readonly keepaliveSeconds: number;
  readonly software: string;
  /** The first connection waits for up to so long: power comes back to a whole site at once. */
  readonly firstWithinMs: number;
  readonly backoff?: BackoffLimits | undefined;
  /** To be heard at each connection, before `onUp`. */
  readonly subscriptions: readonly string[];
}

export interface LinkDeps {
  readonly clock: { wallMs(): number; bootMs(): number };
  readonly random: () => number;
  /** Read anew for each connection; undefined: none is configured. They throw where a file can not be read. */
  readonly files: {
    ca(): string | undefined;
    certificate(): string | undefined;
    key(): string | undefined;
    password(): string | undefined;
  };
  readonly log: {
    info(fields: { reason?: string; code?: string; delayMs?: number; bus?: string }, message: string): void;
    warn(
      fields: { reason?: string; code?: string; delayMs?: number; bus?: string; attempt?: number },
      message: string,
    ): void;
  };
}

export interface LinkState {
  readonly state: "off" | "connecting" | "connected" | "waiting";
  /** Wall time in milliseconds. */
  readonly sinceMs: number;
  readonly broker: string;
  /** Why the last connection ended or never came to be. */
  readonly reason: Reason | undefined;
  readonly nextAttemptAtMs: number | undefined;
  readonly attempts: number;
  readonly rttMs: number | undefined;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly identityConflict: boolean;
}

/** A connection this old, of which the fleet has answered, is a good one: the next failure begins anew. */
const STABLE_MS = 60_000;
const FAREWELL_MS = 1000;
const FIRST_PACKET_BYTES = 131_072;

/**
 * The connection to the fleet's broker: made, watched, made again. One client for each connection, so that nothing of an
 * old one is left; certificates are read again each time; what to do next comes from the reason of the end.
 */
export class Link {
  readonly name = "link";
  onUp: (session: string) => void = () => undefined;
  onDown: () => void = () => undefined;
  onMessage: (topic: string, payload: Uint8Array, isRetained: boolean) => void = () => undefined;
  readonly #deps: LinkDeps;
  readonly #options: LinkOptions;
  readonly #stateTopic: string;
  #client: LinkClient | undefined;
  #session = "";
  #state: LinkState["state"] = "off";
  #sinceMs: number;
  #reason: Reason | undefined;
  #nextAttemptAtMs: number | undefined;
  #attempt = 0;
  #attempts = 0;
  #broker = 0;
  #isUp = false;
  #isProven = false;
  #upBootMs = 0;
  #hasConflict = false;
  #sentBefore = 0;
  #receivedBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  #rejects = new Set<(error: Error) => void>();

  constructor(deps: LinkDeps, options: LinkOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#sinceMs = deps.clock.wallMs();
    this.#stateTopic = gatewayTopics(options.fleet, options.gateway).state;
  }

  async start(): Promise<void> {
    this.#wait(this.#deps.random() * this.#options.firstWithinMs);
  }

  /** Says goodbye, within a second. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    const client = this.#client;
    if (client !== undefined && this.#isUp) {
      const late = new Promise((resolve) => setTimeout(resolve, FAREWELL_MS));
      const said = client.publish({
        topic: this.#stateTopic,
        payload: this.#document("stopped"),
        qos: 1,
        retain: true,
      });
      await Promise.race([said.catch(() => undefined), late]);
    }
    this.#turn("off");
    client?.close();
  }

  /** Tries now, whatever it waits for. */
  retryNow(): void {
    if (this.#state === "waiting") this.#wait(0);
  }

  /** Resolves with the broker's reason code (0: taken, 16: nobody listens). Rejects when the connection is or goes away. */
  publish(message: Outgoing): Promise<number> {
    const client = this.#client;
    if (client === undefined || !this.#isUp) return Promise.reject(new SyncError("SYNC_LINK_DOWN", {}));
    return new Promise((resolve, reject) => {
      this.#rejects.add(reject);
      client
        .publish(message)
        .then(resolve, (cause: unknown) => reject(new SyncError("SYNC_LINK_DOWN", {}, { cause })))
        .finally(() => this.#rejects.delete(reject));
    });
  }

  limits(): { readonly packetBytes: number; readonly underWay: number } {
    return this.#client?.limits ?? { packetBytes: FIRST_PACKET_BYTES, underWay: 1 };
  }

  /** The fleet answered: the connection is good for more than a CONNACK. */
  proven(): void {
    this.#isProven = true;
    this.#hasConflict &&= this.#deps.clock.bootMs() - this.#upBootMs < STABLE_MS;
  }

  state(): LinkState {
    const traffic = this.#client?.traffic;
    return {
      ...{ state: this.#state, sinceMs: this.#sinceMs, broker: this.#url(), reason: this.#reason },
      ...{ nextAttemptAtMs: this.#nextAttemptAtMs, attempts: this.#attempts, rttMs: traffic?.roundTripMs },
      bytesSent: this.#sentBefore + (traffic?.sent ?? 0),
      bytesReceived: this.#receivedBefore + (traffic?.received ?? 0),
      identityConflict: this.#hasConflict,
    };
  }

  #url(): string {
    return this.#options.brokers[this.#broker % this.#options.brokers.length] ?? "";
  }

  async #connect(): Promise<void> {
    this.#turn("connecting");
    this.#attempts += 1;
    this.#session = randomBytes(8).toString("hex");
    let client: LinkClient | undefined;
    try {
      const files = this.#files();
      const url = this.#url();
      const stream = await this.#stream(url, files);
      if (this.#state !== "connecting") {
        stream?.destroy();
        return;
      }
      const { gateway, keepaliveSeconds, username, serverName } = this.#options;
      client = new LinkClient(
        {
          ...{ url, clientId: gateway, keepaliveSeconds, username, serverName, stream, ...files },
          will: { topic: this.#stateTopic, payload: this.#document("lost") },
        },
        {
          opened: () => void this.#opened(),
          received: (topic, payload, isRetained) => this.onMessage(topic, payload, isRetained),
          ended: (end) => this.#ended(end),
        },
      );
      this.#client = client;
    } catch (error) {
      const { code, message } = error as { code?: unknown; message?: string };
      this.#ended({ kind: "error", code: String(code ?? "NETWORK"), message: message ?? "" });
    }
  }

  #files() {
    const { files } = this.#deps;
    try {
      return { ca: files.ca(), certificate: files.certificate(), key: files.key(), password: files.password() };
    } catch (cause) {
      throw Object.assign(new Error((cause as Error).message, { cause }), { code: "FILES" });
    }
  }

  /** Through a proxy the way is made first; TLS is spoken over it here, or by the client for wss. */
  async #stream(
    url: string,
    { ca, certificate, key }: { ca?: string | undefined; certificate?: string | undefined; key?: string | undefined },
  ) {
    const { proxy, serverName } = this.#options;
    if (proxy === undefined) return undefined;
    const { protocol, hostname, port } = new URL(url);
    const isTls = protocol !== "mqtt:";
    const socket = await throughProxy(
      proxy,
      hostname,
      Number(port) || (protocol === "wss:" ? 443 : isTls ? 8883 : 1883),
    );
    if (!isTls) return socket;
    const secure = {
      ...(ca === undefined ? {} : { ca }),
      ...(certificate === undefined ? {} : { cert: certificate }),
      ...(key === undefined ? {} : { key }),
    };
    return connectTls({ socket, servername: serverName ?? hostname, minVersion: "TLSv1.2", ...secure });
  }

  async #opened(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    try {
      await client.subscribe(this.#options.subscriptions);
    } catch (error) {
      if (this.#client !== client) return;
      client.close();
      const { code } = error as { code?: unknown };
      this.#ended({ kind: "error", code: String(code ?? "SUBSCRIBE"), message: String(error) });
      return;
    }
    if (this.#client !== client) return;
    this.#isUp = true;
    this.#isProven = false;
    this.#upBootMs = this.#deps.clock.bootMs();
    this.#reason = undefined;
    this.#turn("connected");
    this.#deps.log.info({ bus: this.#url() }, "connected to the fleet");
    void this.publish({ topic: this.#stateTopic, payload: this.#document("ready"), qos: 1, retain: true }).catch(
      () => undefined,
    );
    this.onUp(this.#session);
  }

  #ended(end: ClientEnd): void {
    if (this.#state === "off" || this.#state === "waiting") return;
    const traffic = this.#client?.traffic;
    this.#sentBefore += traffic?.sent ?? 0;
    this.#receivedBefore += traffic?.received ?? 0;
    const wasUp = this.#isUp;
    this.#client = undefined;
    this.#isUp = false;
    if (wasUp && this.#isProven && this.#deps.clock.bootMs() - this.#upBootMs >= STABLE_MS) this.#attempt = 0;
    const reason = end.kind === "reason" ? reasonOf(end.code) : networkReason(end.code);
    this.#follow(reason, end);
    const { random, log } = this.#deps;
    const delayMs = backoffMs(this.#attempt, reason.failure, random(), this.#options.backoff ?? usualBackoff);
    this.#attempt += 1;
    const { code, name, words, advice } = reason;
    const detail = end.kind === "error" && end.message !== "" ? `: ${end.message}` : "";
    this.#reason = { code, name, words: `${words}${detail}`, advice };
    if (this.#attempt <= 3 || this.#attempt % 20 === 0)
      log.warn(
        { reason: words, bus: this.#url(), delayMs: Math.round(delayMs), attempt: this.#attempt },
        "no connection to the fleet",
      );
    for (const reject of this.#rejects) reject(new SyncError("SYNC_LINK_DOWN", { reason: name }));
    this.#rejects.clear();
    if (wasUp) this.onDown();
    this.#wait(delayMs);
  }

  /** The next broker of the list; one that is named by the broker only if it is in the list. */
  #follow(reason: KnownReason, end: ClientEnd): void {
    if (reason.failure === "takenOver") this.#hasConflict = true;
    const { brokers } = this.#options;
    const named = end.kind === "reason" && reason.moves === true ? (end.serverReference ?? "") : "";
    const at =
      named === "" ? -1 : brokers.findIndex((url) => new URL(url).host === named || new URL(url).hostname === named);
    this.#broker = at >= 0 ? at : (this.#broker + 1) % brokers.length;
  }

  #wait(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#turn("waiting");
    this.#nextAttemptAtMs = this.#deps.clock.wallMs() + delayMs;
    this.#timer = setTimeout(() => {
      this.#nextAttemptAtMs = undefined;
      void this.#connect();
    }, delayMs);
  }

  #turn(state: LinkState["state"]): void {
    if (this.#state !== state && (state === "connected" || this.#state === "connected" || this.#state === "off"))
      this.#sinceMs = this.#deps.clock.wallMs();
    this.#state = state;
  }

  #document(state: "ready" | "stopped" | "lost"): string {
    const { software } = this.#options;
    const at = Math.floor(this.#deps.clock.wallMs());
    return JSON.stringify({ v: wireVersion, kind: "state", state, session: this.#session, software, at });
  }
}
