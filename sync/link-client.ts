import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from "mqtt";

/** Everything of one connection, read for it. */
export interface ClientOptions {
  readonly url: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly ca: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly serverName: string | undefined;
  readonly keepaliveSeconds: number;
  readonly will: { readonly topic: string; readonly payload: string };
  /** A connection that is made already, as through a proxy. */
  readonly stream: Duplex | undefined;
}

export interface Outgoing {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly qos: 0 | 1;
  readonly retain?: boolean | undefined;
  readonly expirySeconds?: number | undefined;
}

/** How a connection ended: with the broker's reason code, or with the code of an error on the way. */
export type ClientEnd =
  | { readonly kind: "reason"; readonly code: number; readonly serverReference: string | undefined }
  | { readonly kind: "error"; readonly code: string; readonly message: string };

/** What becomes of a connection is told to its owner. */
export interface ClientOwner {
  opened(): void;
  received(topic: string, payload: Uint8Array, isRetained: boolean): void;
  /** Told exactly once, also when the connection never came to be. */
  ended(end: ClientEnd): void;
}

const CONNECT_TIMEOUT_MS = 15_000;
const RECEIVE_MAXIMUM = 20;
const MOST_PACKET_BYTES = 262_144;
const WILL_DELAY_SECONDS = 60;
const FIRST_REASON = 0x80;

/** One connection to one broker: made, used, thrown away. What the library would do by itself afterwards is left out. */
export class LinkClient {
  readonly #client: MqttClient;
  readonly #owner: ClientOwner;
  readonly #waiting = new Map<number, { done: (reason: number) => void; atMs: number }>();
  #end: ClientEnd | undefined;
  #isEnded = false;
  #isOpen = false;
  #bytesSent = 0;
  #bytesReceived = 0;
  #roundTripMs: number | undefined;

  constructor(options: ClientOptions, owner: ClientOwner) {
    this.#owner = owner;
    this.#client = connect(options.url, clientOptions(options));
    this.#listen();
  }

  /** Topics of this gateway. Rejects with the reason code where one of them is refused. */
  async subscribe(topics: readonly string[]): Promise<void> {
    const granted = await this.#client.subscribeAsync([...topics], { qos: 1 });
    const refused = granted.find(({ qos }) => qos >= FIRST_REASON);
    if (refused !== undefined) throw Object.assign(new Error("refused"), { code: "SUBSCRIBE" });
  }

  /** Resolves with the PUBACK's reason code. Never settles when the connection ends first: the owner knows of that. */
  publish({ topic, payload, qos, retain, expirySeconds }: Outgoing): Promise<number> {
    return new Promise((resolve, reject) => {
      const properties = expirySeconds === undefined ? {} : { messageExpiryInterval: expirySeconds };
      const packet = typeof payload === "string" ? payload : Buffer.from(payload);
      // The library tells of a PUBACK without its reason: what nobody listens to would look as good as delivered.
      const before = this.#client.getLastMessageId();
      this.#client.publish(topic, packet, { qos, retain: retain === true, properties }, (error) => {
        if (error !== undefined && error !== null) reject(error);
        else if (qos === 0) resolve(0);
      });
      const id = this.#client.getLastMessageId();
      if (qos === 1 && id !== before) this.#waiting.set(id, { done: resolve, atMs: performance.now() });
    });
  }

  get limits(): { readonly packetBytes: number; readonly underWay: number } {
    const { maximumPacketSize, receiveMaximum } = this.#client.serverProperties ?? {};
    return { packetBytes: maximumPacketSize ?? MOST_PACKET_BYTES, underWay: receiveMaximum ?? RECEIVE_MAXIMUM };
  }

  get traffic(): { readonly sent: number; readonly received: number; readonly roundTripMs: number | undefined } {
    this.#count();
    return { sent: this.#bytesSent, received: this.#bytesReceived, roundTripMs: this.#roundTripMs };
  }

  /** Ends it, whatever it does: the library's own end can wait for ever. */
  close(): void {
    this.#count();
    this.#client.end(true);
    this.#client.stream?.destroy();
    this.#ended();
  }

  #listen(): void {
    const client = this.#client;
    client.on("connect", () => {
      this.#isOpen = true;
      (client.stream as Partial<Socket>).setNoDelay?.(true);
      this.#owner.opened();
    });
    client.on("message", (topic, payload, packet: IPublishPacket) => {
      this.#owner.received(topic, payload, packet.retain);
    });
    client.on("packetreceive", (packet) => {
      if (packet.cmd === "puback") this.#acknowledged(packet.messageId ?? 0, packet.reasonCode ?? 0);
      if (packet.cmd === "connack" && (packet.reasonCode ?? 0) >= FIRST_REASON)
        this.#ends(packet.reasonCode ?? FIRST_REASON, packet.properties?.serverReference);
      if (packet.cmd === "disconnect") this.#ends(packet.reasonCode ?? 0, packet.properties?.serverReference);
    });
    client.on("error", (error: Error & { code?: unknown }) => {
      const code = typeof error.code === "string" ? error.code : codeOf(error, this.#isOpen);
      this.#end ??= { kind: "error", code, message: error.message };
      this.close();
    });
    client.on("close", () => this.#ended());
  }

  #ends(code: number, serverReference: string | undefined): void {
    this.#end ??= { kind: "reason", code, serverReference };
    this.close();
  }

  #acknowledged(id: number, reason: number): void {
    const one = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (one === undefined) return;
    const tookMs = performance.now() - one.atMs;
    this.#roundTripMs = this.#roundTripMs === undefined ? tookMs : this.#roundTripMs * 0.8 + tookMs * 0.2;
    one.done(reason);
  }

  #count(): void {
    const socket = this.#client.stream as Partial<Socket> | undefined;
    this.#bytesSent = Math.max(this.#bytesSent, socket?.bytesWritten ?? 0);
    this.#bytesReceived = Math.max(this.#bytesReceived, socket?.bytesRead ?? 0);
  }

  #ended(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#count();
    this.#client.end(true);
    this.#owner.ended(this.#end ?? { kind: "error", code: this.#isOpen ? "CLOSED" : "NO_CONNACK", message: "" });
  }
}

/** What the library says in words only. */
function codeOf({ message }: Error, wasOpen: boolean): string {
  if (/keepalive/i.test(message)) return "SILENT";
  if (/connack timeout/i.test(message)) return "NO_CONNACK";
  return wasOpen ? "CLOSED" : "NETWORK";
}

function clientOptions(options: ClientOptions): IClientOptions {
  const { will, keepaliveSeconds, username, password, ca, certificate, key, serverName, stream } = options;
  return {
    protocolVersion: 5,
    clientId: options.clientId,
    // Nothing depends on a session that a broker keeps, and nothing is queued by the library.
    ...{ clean: true, reconnectPeriod: 0, connectTimeout: CONNECT_TIMEOUT_MS, queueQoSZero: false, resubscribe: false },
    ...{ keepalive: keepaliveSeconds, reschedulePings: true },
    properties: {
      ...{ sessionExpiryInterval: 0, receiveMaximum: RECEIVE_MAXIMUM, maximumPacketSize: MOST_PACKET_BYTES },
      requestProblemInformation: true,
    },
    will: {
      ...{ topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true },
      properties: { willDelayInterval: WILL_DELAY_SECONDS },
    },
    minVersion: "TLSv1.2",
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(stream === undefined ? {} : { createConnection: () => stream }),
  } as IClientOptions;
}
