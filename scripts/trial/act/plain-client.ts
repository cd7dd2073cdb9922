import { connect, type Socket } from "node:net";
import { connectPacket, lengthBytes } from "../../bench/packets.ts";

export interface Received {
  readonly topic: string;
  readonly payload: Buffer;
  readonly packetId: number;
  readonly isAgain: boolean;
}

const RECONNECT_MS = 40;

/**
 * A client of the broker as small as can be (MQTT 3.1.1, a clean session): publishes and listens at QoS 1, and connects
 * again when the connection breaks. What it published on a connection that broke is not sent again.
 */
export class PlainClient {
  onMessage: (message: Received) => void = () => {};
  readonly #port: number;
  readonly #clientId: string;
  readonly #filters: readonly string[];
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #nextId = 1;
  #isClosing = false;
  isOpen = false;

  constructor(port: number, clientId: string, filters: readonly string[]) {
    this.#port = port;
    this.#clientId = clientId;
    this.#filters = filters;
  }

  open(): void {
    const socket = connect(this.#port, "127.0.0.1");
    socket.setNoDelay(true);
    this.#socket = socket;
    this.#rest = Buffer.alloc(0);
    socket.on("connect", () => socket.write(connectPacket(this.#clientId)));
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isOpen = false;
      if (!this.#isClosing) setTimeout(() => this.open(), RECONNECT_MS).unref();
    });
  }

  close(): void {
    this.#isClosing = true;
    this.#socket?.destroy();
  }

  publish(topic: string, payload: string, isRetained = false): void {
    if (!this.isOpen) return;
    this.#nextId = (this.#nextId % 65_535) + 1;
    const name = Buffer.from(topic);
    const id = Buffer.from([this.#nextId >> 8, this.#nextId & 255]);
    const body = Buffer.concat([lengthPrefixed(name), id, Buffer.from(payload)]);
    this.#socket?.write(Buffer.concat([Buffer.from([isRetained ? 0x33 : 0x32, ...lengthBytes(body.length)]), body]));
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const size = sizeOf(bytes);
      if (size === undefined || bytes.length < size.head + size.body) break;
      this.#packet(bytes[0] as number, bytes.subarray(size.head, size.head + size.body));
      bytes = bytes.subarray(size.head + size.body);
    }
    this.#rest = bytes;
  }

  #packet(first: number, body: Buffer): void {
    const kind = first >> 4;
    if (kind === 2) {
      if (body[1] !== 0) throw new Error(`the broker refused ${this.#clientId}: ${body[1]}`);
      if (this.#filters.length === 0) this.isOpen = true;
      else this.#socket?.write(subscribePacket(this.#filters));
    } else if (kind === 9) this.isOpen = true;
    else if (kind === 3) this.#published(first, body);
  }

  #published(first: number, body: Buffer): void {
    const nameEnd = 2 + body.readUInt16BE(0);
    const qos = (first >> 1) & 3;
    const packetId = qos === 0 ? 0 : body.readUInt16BE(nameEnd);
    const payload = Buffer.from(body.subarray(nameEnd + (qos === 0 ? 0 : 2)));
    if (qos > 0) this.#socket?.write(Buffer.from([0x40, 2, packetId >> 8, packetId & 255]));
    this.onMessage({ topic: body.toString("utf8", 2, nameEnd), payload, packetId, isAgain: (first & 8) !== 0 });
  }
}

function subscribePacket(filters: readonly string[]): Buffer {
  const asked = filters.flatMap((filter) => [lengthPrefixed(Buffer.from(filter)), Buffer.from([1])]);
  const body = Buffer.concat([Buffer.from([0, 1]), ...asked]);
  return Buffer.concat([Buffer.from([0x82, ...lengthBytes(body.length)]), body]);
}

function lengthPrefixed(text: Buffer): Buffer {
  return Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), text]);
}

/** Bytes of the fixed header and of what follows; undefined while the header is not whole. */
function sizeOf(bytes: Buffer): { head: number; body: number } | undefined {
  let body = 0;
  for (let at = 1, shift = 0; at < bytes.length && at < 5; at++, shift += 7) {
    const byte = bytes[at] as number;
    body += (byte & 127) * 2 ** shift;
    if (byte < 128) return { head: at + 1, body };
  }
  return undefined;
}
