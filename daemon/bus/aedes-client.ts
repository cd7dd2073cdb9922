import type { Aedes, Client } from "aedes";
import { BusError } from "./errors.ts";

/** What is used of the library's client although it is private: pinned by its version, asked for at each connection. */
interface ClientInternals {
  _parsingBatch: number;
  _nextBatch(): void;
  pause(): void;
  resume(): void;
  _keepaliveTimer: NodeJS.Timeout | null;
  _nextId: number;
  readonly _paused?: boolean;
  readonly connackSent: boolean;
  readonly _parser: ParserInternals;
  readonly subscriptions: Readonly<Record<string, { readonly qos: number }>>;
}

interface ParserInternals {
  readonly packet: { readonly length: number };
  _parseLength(): boolean;
  _emitError(error: Error): void;
  on(event: "packet", listener: (packet: ClientPacket) => void): void;
}

export interface ClientPacket {
  readonly cmd: string;
  readonly messageId?: number;
}

interface BrokerInternals {
  readonly clients: Readonly<Record<string, Client>>;
  readonly persistence: {
    createRetainedStreamCombi(filters: readonly string[]): AsyncIterable<StoredMessage>;
  };
}

const LAST_PACKET_ID = 65_535;

/** Bounds of what a client may send in one packet. */
export interface PacketLimits {
  /** Everyone may send this much. */
  readonly usualBytes: number;
  /** One client at a time may send this much: enough to be counted as too large rather than cut off. */
  readonly mostBytes: number;
}

function internals(client: Client): ClientInternals {
  return client as unknown as ClientInternals;
}

/** Throws when the library is not built as this file expects. */
export function assertKnownLibrary(client: Client): void {
  const inner = internals(client);
  const missing = (["_nextBatch", "pause", "resume"] as const).filter((name) => typeof inner[name] !== "function");
  const isNumbered = typeof inner._parsingBatch === "number" && typeof inner._nextId === "number";
  const isKnown = isNumbered && typeof inner._parser?._parseLength === "function";
  if (missing.length > 0 || !isKnown) throw new BusError("BUS_LIBRARY", { library: "aedes", missing });
}

/** Reads on although packets of this client are still held: the library would wait for all of them. */
export function readOn(client: Client): void {
  const inner = internals(client);
  inner._parsingBatch = 1;
  inner._nextBatch();
}

export function stopReading(client: Client): void {
  internals(client).pause();
}

export function resumeReading(client: Client): void {
  internals(client).resume();
}

/** A client that is not read can not show that it is alive; its silence is not its fault. */
export function excuseSilence(client: Client): void {
  internals(client)._keepaliveTimer?.refresh();
}

/** A packet id that the library will not use for a packet of its own before it has gone round. */
export function takePacketId(client: Client): number {
  const inner = internals(client);
  const id = inner._nextId;
  inner._nextId = id >= LAST_PACKET_ID ? 1 : id + 1;
  return id;
}

/** Tells of each packet of the client, also of PUBACKs to packets that the library knows nothing of. */
export function onPacket(client: Client, told: (packet: ClientPacket) => void): void {
  internals(client)._parser.on("packet", told);
}

export function isRead(client: Client): boolean {
  return internals(client)._paused !== true;
}

export interface StoredMessage {
  readonly topic: string;
  readonly payload: Buffer;
}

/** Clients that have had their CONNACK, with their filters and the QoS that was granted. */
export function* subscriptions(broker: Aedes): Iterable<readonly [Client, ReadonlyMap<string, number>]> {
  const { clients } = broker as unknown as BrokerInternals;
  for (const client of Object.values(clients)) {
    const inner = internals(client);
    if (!inner.connackSent || client.closed) continue;
    yield [client, new Map(Object.entries(inner.subscriptions).map(([filter, { qos }]) => [filter, qos]))];
  }
}

/** Messages that the broker keeps for those who will ask. */
export function storedMessages(broker: Aedes, filters: readonly string[]): AsyncIterable<StoredMessage> {
  return (broker as unknown as BrokerInternals).persistence.createRetainedStreamCombi(filters);
}

/** The one place for an oversize packet, shared by all clients of a broker. */
export class OversizeSlot {
  #holder: Client | undefined;

  take(client: Client): boolean {
    if (this.#holder !== undefined && this.#holder !== client) return false;
    this.#holder = client;
    return true;
  }

  leave(client: Client): void {
    if (this.#holder === client) this.#holder = undefined;
  }
}

/** Cuts a client off that announces a packet over its limits, before the packet is in memory; `refused` is told its size. */
export function limitPackets(
  client: Client,
  limits: PacketLimits,
  slot: OversizeSlot,
  refused: (bytes: number) => void,
): void {
  const parser = internals(client)._parser;
  const parseLength = parser._parseLength;
  parser._parseLength = () => {
    const isKnown = parseLength.call(parser);
    if (!isKnown) return false;
    const { length } = parser.packet;
    if (length <= limits.usualBytes) {
      slot.leave(client);
      return true;
    }
    if (client.connected && length <= limits.mostBytes && slot.take(client)) return true;
    refused(length);
    parser._emitError(new Error(`a packet of ${length} bytes is too large`));
    return false;
  };
}
