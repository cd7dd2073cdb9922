import { connect, type Socket } from "node:net";
import { connectPacket, lengthBytes } from "../bench/packets.ts";
import { sleep } from "./claims.ts";

interface Held {
  readonly packet: Buffer;
  readonly sentMs: number;
  readonly acknowledged: ((tookMs: number) => void) | undefined;
}

const HEADER = 4;
const RECONNECT_MS = 50;

/**
 * A sensor as it should be: what it sent at QoS 1 it keeps until the acknowledgement comes, and sends it again on a new
 * connection when the old one breaks.
 */
export class Sensor {
  readonly #port: number;
  readonly #clientId: string;
  readonly #held = new Map<number, Held>();
  #socket: Socket | undefined;
  #isOpen = false;
  #isClosing = false;
  #nextId = 1;
  #rest: Buffer = Buffer.alloc(0);
  #waiting: (() => void)[] = [];
  acknowledged = 0;
  sent = 0;
  connections = 0;

  constructor(port: number, clientId: string) {
    this.#port = port;
    this.#clientId = clientId;
  }

  get unacknowledged(): number {
    return this.#held.size;
  }

  /** Its connection, which is made again when it breaks. */
  async open(): Promise<this> {
    this.#connect();
    while (!this.#isOpen) await this.#change();
    return this;
  }

  publish(topic: string, payload: Buffer | string, qos: 0 | 1, acknowledged?: (tookMs: number) => void): void {
    const packetId = qos === 1 ? this.#newId() : 0;
    const packet = publishPacket(topic, Buffer.from(payload), packetId);
    if (qos === 1) this.#held.set(packetId, { packet, sentMs: performance.now(), acknowledged });
    this.sent += 1;
    if (this.#isOpen) this.#socket?.write(packet);
  }

  /** Resolves when at most so many are unacknowledged and the socket takes more. */
  async room(most: number): Promise<void> {
    while (this.#held.size > most || !this.#isOpen || this.#socket?.writableNeedDrain === true) await this.#change();
  }

  /** True when everything was acknowledged in time. */
  async settled(limitMs: number): Promise<boolean> {
    const late = sleep(limitMs);
    let isLate = false;
    void late.then(() => {
      isLate = true;
      this.#wake();
    });
    while (this.#held.size > 0 && !isLate) await this.#change();
    return this.#held.size === 0;
  }

  close(): void {
    this.#isClosing = true;
    this.#socket?.destroy();
    this.#wake();
  }

  #connect(): void {
    const socket = connect(this.#port, "127.0.0.1");
    socket.setNoDelay(true);
    this.#socket = socket;
    this.#rest = Buffer.alloc(0);
    socket.on("connect", () => socket.write(connectPacket(this.#clientId)));
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("drain", () => this.#wake());
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isOpen = false;
      if (!this.#isClosing) setTimeout(() => this.#connect(), RECONNECT_MS).unref();
      this.#wake();
    });
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    // CONNACK and PUBACK, four bytes each, are all that a broker sends to somebody who only publishes.
    while (bytes.length >= HEADER) {
      if (bytes[0] === 0x20) this.#opened(bytes[3] ?? 0);
      else if (bytes[0] === 0x40) this.#ended(bytes.readUInt16BE(2));
      bytes = bytes.subarray(HEADER);
    }
    this.#rest = bytes;
    this.#wake();
  }

  #opened(code: number): void {
    if (code !== 0) throw new Error(`the broker refused the sensor: ${code}`);
    this.#isOpen = true;
    this.connections += 1;
    for (const { packet } of this.#held.values()) {
      const again = Buffer.from(packet);
      again[0] = (again[0] as number) | 8;
      this.#socket?.write(again);
    }
  }

  #ended(packetId: number): void {
    const held = this.#held.get(packetId);
    if (held === undefined || !this.#held.delete(packetId)) return;
    this.acknowledged += 1;
    held.acknowledged?.(performance.now() - held.sentMs);
  }

  #newId(): number {
    do this.#nextId = (this.#nextId % 65_535) + 1;
    while (this.#held.has(this.#nextId));
    return this.#nextId;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function publishPacket(topic: string, payload: Buffer, packetId: number): Buffer {
  const name = Buffer.from(topic);
  const id = packetId === 0 ? Buffer.alloc(0) : Buffer.from([packetId >> 8, packetId & 255]);
  const length = 2 + name.length + id.length + payload.length;
  const head = Buffer.from([packetId === 0 ? 0x30 : 0x32, ...lengthBytes(length), name.length >> 8, name.length & 255]);
  return Buffer.concat([head, name, id, payload]);
}

/** Calls `send` evenly spaced until `isOver`; what was missed is made up for at once. */
export async function paced(perSecond: number, isOver: () => boolean, send: (index: number) => void): Promise<number> {
  const startMs = performance.now();
  let sent = 0;
  while (!isOver()) {
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1000);
    for (; sent < due; sent++) send(sent);
    await sleep(2);
  }
  return sent;
}
