import type { Client } from "aedes";
import { BusError } from "./errors.ts";

/** What is used of the library's client although it is private: pinned by its version, asked for at each connection. */
interface ClientInternals {
  _parsingBatch: number;
  _nextBatch(): void;
  pause(): void;
  resume(): void;
  _keepaliveTimer: NodeJS.Timeout | null;
  readonly _parser: ParserInternals;
}

interface ParserInternals {
  readonly packet: { readonly length: number };
  _parseLength(): boolean;
  _emitError(error: Error): void;
}

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
  const isKnown = typeof inner._parsingBatch === "number" && typeof inner._parser?._parseLength === "function";
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
