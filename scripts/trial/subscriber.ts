import { connect, type Socket } from "node:net";
import { connectPacket, lengthBytes } from "../bench/packets.ts";

const RECONNECT_MS = 20;
const CONNACK = 2;
const PUBLISH = 3;
const SUBACK = 9;

/** Somebody who only listens, at QoS 0: the broker hands over everything in the order in which it took it. */
export class Subscriber {
  readonly #port: number;
  readonly #clientId: string;
  readonly #filters: readonly string[];
  readonly #onMessage: (topic: string, payload: Buffer) => void;
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #isClosing = false;
  #subscribed: (() => void) | undefined;

  constructor(
    port: number,
    clientId: string,
    filters: readonly string[],
    onMessage: (topic: string, payload: Buffer) => void,
  ) {
    this.#port = port;
    this.#clientId = clientId;
    this.#filters = filters;
    this.#onMessage = onMessage;
  }

  /** Resolves when it is subscribed; a connection that breaks later is made again. */
  async open(): Promise<this> {
    const subscribed = new Promise<void>((resolve) => {
      this.#subscribed = resolve;
    });
    this.#connect();
    await subscribed;
    return this;
  }

  close(): void {
    this.#isClosing = true;
    this.#socket?.destroy();
  }

  #connect(): void {
    const socket = connect(this.#port, "127.0.0.1");
    this.#socket = socket;
    this.#rest = Buffer.alloc(0);
    socket.on("connect", () => socket.write(connectPacket(this.#clientId)));
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      if (!this.#isClosing) setTimeout(() => this.#connect(), RECONNECT_MS);
    });
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (let packet = packetIn(bytes); packet !== undefined; packet = packetIn(bytes)) {
      this.#hear(packet.type, packet.body);
      bytes = bytes.subarray(packet.length);
    }
    this.#rest = bytes;
  }

  #hear(type: number, body: Buffer): void {
    if (type === CONNACK) this.#socket?.write(subscribePacket(this.#filters));
    else if (type === SUBACK) this.#subscribed?.();
    else if (type === PUBLISH) {
      const end = 2 + body.readUInt16BE(0);
      this.#onMessage(body.toString("utf8", 2, end), body.subarray(end));
    }
  }
}

/** The first whole packet; undefined while there is none. */
function packetIn(bytes: Buffer): { type: number; body: Buffer; length: number } | undefined {
  let size = 0;
  let at = 1;
  for (let shift = 0; ; shift += 7, at++) {
    const digit = bytes[at];
    if (digit === undefined) return undefined;
    size += (digit & 127) << shift;
    if (digit < 128) break;
  }
  const start = at + 1;
  if (bytes.length < start + size) return undefined;
  return { type: (bytes[0] as number) >> 4, body: bytes.subarray(start, start + size), length: start + size };
}

function subscribePacket(filters: readonly string[]): Buffer {
  const wanted = filters.flatMap((filter) => {
    const name = Buffer.from(filter);
    return [Buffer.from([name.length >> 8, name.length & 255]), name, Buffer.from([0])];
  });
  const body = Buffer.concat([Buffer.from([0, 1]), ...wanted]);
  return Buffer.concat([Buffer.from([0x82]), lengthBytes(body.length), body]);
}
