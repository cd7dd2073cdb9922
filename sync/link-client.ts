import { connect, type IConnackPacket, type IPublishPacket, MqttClient, type Packet } from "mqtt";
import { Allowance } from "./allowance.ts";
import { type ClientOptions, clientOptions, MOST_PACKET_BYTES, RECEIVE_MAXIMUM } from "./client-options.ts";
import type { Line } from "./dial.ts";
import { SyncError } from "./errors.ts";
import { type Outgoing, packetSize, SendQueue } from "./send-queue.ts";

/** How a connection ended: with the broker's reason code, or with the code of an error on the way. */
export type ClientEnd =
  | {
      readonly kind: "reason";
      readonly code: number;
      readonly serverReference: string | undefined;
      readonly message: string;
    }
  | { readonly kind: "error"; readonly code: string; readonly message: string };

/** What becomes of a connection is told to its owner. */
export interface ClientOwner {
  opened(): void;
  received(topic: string, payload: Uint8Array, isRetained: boolean): void;
  /** Told exactly once, also when the connection never came to be. */
  ended(end: ClientEnd): void;
}

const FIRST_REASON = 0x80;
/** A broker of before MQTT 5 answers with a code of its own time: its nearest of today's. */
const OLD_REASONS: Readonly<Record<number, number>> = { 1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87 };
const MOST_WAITING = 100;
/** Messages that are taken as they come; those beyond wait so many milliseconds, every second of them: about 200 a second. */
const MOST_AT_ONCE = 50;
const EACH_MS = 10;
const DISCONNECT = Buffer.from([0xe0, 0]);

/** One connection to one broker: made, used, thrown away. What the library would do by itself afterwards is left out. */
export class LinkClient {
  readonly #client: MqttClient;
  readonly #line: Line;
  readonly #options: ClientOptions;
  readonly #owner: ClientOwner;
  readonly #queue: SendQueue;
  readonly #sentAtMs = new Map<number, number>();
  #stall: NodeJS.Timeout | undefined;
  #end: ClientEnd | undefined;
  #isEnded = false;
  #isOpen = false;
  #roundTripMs: number | undefined;

  constructor(line: Line, options: ClientOptions, owner: ClientOwner) {
    this.#line = line;
    this.#options = options;
    this.#owner = owner;
    this.#queue = new SendQueue(
      (message) => this.#send(message),
      () => this.limits.underWay,
    );
    // A client certificate that the broker does not like ends the stream after TLS is agreed: the code says it.
    line.stream.on("error", (error: NodeJS.ErrnoException) => {
      this.#end ??= { kind: "error", code: error.code ?? "CLOSED", message: error.message };
    });
    this.#client = clientOver(line, options);
    this.#listen();
  }

  /** Topics of this gateway. Ends the connection and rejects where one of them is refused, or no answer comes. */
  async subscribe(topics: readonly string[]): Promise<void> {
    if (topics.length === 0) return;
    const late = setTimeout(
      () => this.#endsBy("NO_SUBACK", "no answer to a SUBSCRIBE"),
      this.#options.patience.answerMs,
    );
    try {
      await this.#client.subscribeAsync([...topics], { qos: 1 });
    } catch (error) {
      this.#endsBy("SUBSCRIBE", (error as Error).message);
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  /** Hears what is kept on a topic, if the broker lets it, and never what goes out over this connection. */
  lookAt(topic: string): void {
    // A broker that forbids it only means that a clone is not found this way; the link does without.
    this.#client.subscribeAsync(topic, { qos: 0, nl: true }).catch(() => undefined);
  }

  /** Resolves with the PUBACK's reason code. Rejects with a SyncError where it can not be sent, and when the connection ends. */
  async publish(message: Outgoing): Promise<number> {
    if (this.#isEnded) throw new SyncError("SYNC_LINK_DOWN");
    const { packetBytes } = this.limits;
    const bytes = packetSize(message);
    if (bytes > packetBytes) throw new SyncError("SYNC_LINK_TOO_LARGE", { bytes, packetBytes });
    if (this.#queue.size >= MOST_WAITING) throw new SyncError("SYNC_LINK_FULL", { waiting: this.#queue.size });
    if (message.qos === 1) return this.#queue.push(message);
    this.#send(message);
    return 0;
  }

  /** As `publish`, for one whose fate nobody waits for longer than this. */
  async lastWord(message: Outgoing, withinMs: number): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    const passed = new Promise<void>((resolve) => {
      late = setTimeout(resolve, withinMs);
    });
    // The connection is about to be closed: the last will says the same.
    await Promise.race([this.publish(message).catch(() => undefined), passed]);
    clearTimeout(late);
  }

  get limits(): { readonly packetBytes: number; readonly underWay: number } {
    const { maximumPacketSize, receiveMaximum } = this.#client.serverProperties ?? {};
    const found = this.#options.packetBytes ?? MOST_PACKET_BYTES;
    return {
      packetBytes: Math.min(MOST_PACKET_BYTES, found, maximumPacketSize ?? MOST_PACKET_BYTES),
      underWay: Math.min(RECEIVE_MAXIMUM, receiveMaximum ?? RECEIVE_MAXIMUM),
    };
  }

  /** The largest packet that has no answer yet, about; undefined: none waits for one. */
  get largestBytes(): number | undefined {
    return this.#queue.largest;
  }

  get traffic(): { readonly sent: number; readonly received: number; readonly roundTripMs: number | undefined } {
    const { socket } = this.#line;
    return { sent: socket.bytesWritten, received: socket.bytesRead, roundTripMs: this.#roundTripMs };
  }

  /** Tells the broker that this is meant, so that it does not publish the last will; then ends it. */
  async leave(withinMs: number): Promise<void> {
    const { stream } = this.#line;
    // The library's own way to say it waits for each message that has no answer, for ever if need be.
    if (this.#isOpen && !this.#isEnded)
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, withinMs);
        stream.once("close", () => {
          clearTimeout(late);
          resolve();
        });
        // Over what the library has, which for wss is not the line; the broker closes it (MQTT 5, 3.14.4).
        this.#client.stream.write(DISCONNECT);
      });
    this.close();
  }

  /** Ends it, whatever it does: the library's own end can wait for ever. */
  close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearTimeout(this.#stall);
    this.#client.end(true);
    this.#line.stream.destroy();
    this.#line.socket.destroy();
    // After the owner knows: who waits may look at it.
    const end: ClientEnd = this.#end ?? { kind: "error", code: this.#isOpen ? "CLOSED" : "NO_CONNACK", message: "" };
    this.#owner.ended(end);
    this.#queue.abandon(() => new SyncError("SYNC_LINK_DOWN", { reason: end.code }));
  }

  #listen(): void {
    const client = this.#client;
    // The library takes all that came in one go: in a flood nobody else in this process would get a turn meanwhile. What
    // comes faster than any fleet speaks is read no faster than that, so the broker has to keep it.
    const pace = new Allowance(MOST_AT_ONCE, EACH_MS);
    client.handleMessage = (_packet, done) => {
      if (pace.take(performance.now())) done();
      else setTimeout(done, EACH_MS);
    };
    client.on("connect", () => {
      this.#isOpen = true;
      this.#owner.opened();
    });
    client.on("message", (topic, payload, packet: IPublishPacket) => {
      if (!this.#isEnded) this.#owner.received(topic, payload, packet.retain);
    });
    client.on("packetreceive", (packet) => this.#heard(packet));
    client.on("error", (error: Error & { code?: unknown }) => {
      this.#endsBy(typeof error.code === "string" ? error.code : codeOf(error, this.#isOpen), error.message);
    });
    client.on("close", () => this.close());
  }

  #heard(packet: Packet): void {
    // The library tells of a PUBACK without its reason: what nobody listens to would look as good as delivered.
    if (packet.cmd === "puback") this.#acknowledged(packet.messageId ?? 0, packet.reasonCode ?? 0);
    else if (packet.cmd === "connack") {
      const code = connackCode(packet);
      if (code >= FIRST_REASON) this.#endsWith(code, packet.properties);
    } else if (packet.cmd === "disconnect") this.#endsWith(packet.reasonCode ?? 0, packet.properties);
  }

  #endsWith(code: number, properties: { serverReference?: string; reasonString?: string } | undefined): void {
    const { serverReference, reasonString: message = "" } = properties ?? {};
    this.#end ??= { kind: "reason", code, serverReference, message };
    this.close();
  }

  #endsBy(code: string, message: string): void {
    this.#end ??= { kind: "error", code, message };
    this.close();
  }

  /** Gives the packet's identifier; 0 for one without. */
  #send({ topic, payload, qos, retain, expirySeconds }: Outgoing): number {
    const properties = expirySeconds === undefined ? {} : { messageExpiryInterval: expirySeconds };
    const packet =
      typeof payload === "string" ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    // The answer is heard as a packet, above; this callback has no reason code, and may never come.
    this.#client.publish(topic, packet, { qos, retain: retain === true, properties }, () => undefined);
    if (qos === 0) return 0;
    const id = this.#client.getLastMessageId();
    this.#sentAtMs.set(id, performance.now());
    if (this.#stall === undefined) this.#watch();
    return id;
  }

  #acknowledged(id: number, reason: number): void {
    const atMs = this.#sentAtMs.get(id);
    this.#sentAtMs.delete(id);
    if (atMs !== undefined) {
      const tookMs = performance.now() - atMs;
      this.#roundTripMs = this.#roundTripMs === undefined ? tookMs : this.#roundTripMs * 0.8 + tookMs * 0.2;
    }
    this.#watch();
    this.#queue.answered(id, reason);
  }

  /** From now on, or from the last answer: one must come. */
  #watch(): void {
    clearTimeout(this.#stall);
    this.#stall =
      this.#sentAtMs.size === 0
        ? undefined
        : setTimeout(
            () => this.#endsBy("STALLED", "no PUBACK comes"),
            this.#options.patience.acknowledgementMs,
          ).unref();
  }
}

function connackCode({ reasonCode, returnCode }: IConnackPacket): number {
  const code = reasonCode ?? returnCode ?? 0;
  return OLD_REASONS[code] ?? code;
}

/** What the library says in words only, or with a number that is its own. */
function codeOf({ message }: Error, wasOpen: boolean): string {
  if (/keepalive/i.test(message)) return "SILENT";
  if (/connack timeout/i.test(message)) return "NO_CONNACK";
  if (/exceeding packets size/i.test(message)) return "OVERSIZE";
  return wasOpen ? "NOT_MQTT" : "NO_CONNACK";
}

function clientOver({ stream }: Line, options: ClientOptions): MqttClient {
  const { url } = options;
  if (!url.startsWith("wss:")) return new MqttClient(() => stream, clientOptions(options));
  // The library's own opening of a WebSocket, over the line that stands.
  const over = { createConnection: () => stream, handshakeTimeout: options.patience.answerMs };
  return connect(url, { ...clientOptions(options), wsOptions: over });
}
