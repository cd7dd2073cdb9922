import type { BusCommand, Sent } from "../act/tool.ts";
import { reasonWords } from "./connection-end.ts";

/** What a broker has said about what it takes. */
export interface PublishLimits {
  readonly version: 4 | 5;
  readonly maximumPacketBytes: number;
  readonly takesQos1: boolean;
}

const MOST_REMAINING = 268_435_455;
/** MQTT 5, 2.1.4. */
export const MOST_PACKET_BYTES = MOST_REMAINING + 5;
const MOST_STRING_BYTES = 65_535;
const MOST_EXPIRY_SECONDS = 0xffff_ffff;
const NO_SUBSCRIBER = 0x10;
const REFUSED_FROM = 0x80;
/** Not authorized, topic, size, format, retain, QoS: the same message would be refused again. */
const PERMANENT = new Set([0x87, 0x90, 0x95, 0x99, 0x9a, 0x9b]);

/** Why this must not be written, or undefined. A broker would hang up on it, and on all that is under way. */
export function publishProblem(command: BusCommand, limits: PublishLimits): string | undefined {
  const { topic } = command;
  if (topic === "" || topic.startsWith("$") || /[+#\0]/.test(topic) || !isText(topic)) return "topic";
  if (!limits.takesQos1) return reasonWords(0x9b);
  if (limits.version === 5) {
    const texts = [...Object.entries(command.properties).flat(), command.responseTopic ?? ""];
    if (!texts.every(isText)) return "properties";
  }
  const bytes = publishBytes(command, limits.version);
  return bytes > Math.min(limits.maximumPacketBytes, MOST_PACKET_BYTES) ? "tooLarge" : undefined;
}

/** The size of the PUBLISH of QoS 1. */
export function publishBytes(command: BusCommand, version: 4 | 5): number {
  const withoutProperties = textBytes(command.topic) + 2 + command.payload.length;
  if (version === 4) return packetBytes(withoutProperties);
  let properties = 5;
  for (const [name, value] of Object.entries(command.properties)) properties += 1 + textBytes(name) + textBytes(value);
  if (command.responseTopic !== undefined) properties += 1 + textBytes(command.responseTopic);
  return packetBytes(withoutProperties + lengthBytes(properties) + properties);
}

/** A whole number of seconds, as MQTT 5 has it; never longer than what was asked for, but at least one. */
export function expiryInterval(seconds: number): number {
  return Math.min(Math.max(Math.floor(seconds), 1), MOST_EXPIRY_SECONDS);
}

/** What a PUBACK means. */
export function sentOf(reasonCode: number): Sent {
  if (reasonCode === NO_SUBSCRIBER) return { kind: "failed", reason: "noSubscriber", left: true };
  if (reasonCode < REFUSED_FROM) return { kind: "acknowledged" };
  const failed = { kind: "failed", reason: reasonWords(reasonCode), left: true } as const;
  return PERMANENT.has(reasonCode) ? { ...failed, permanent: true } : failed;
}

/** A PUBLISH of MQTT 3.1.1, of QoS 1 where there is a packet id, else of QoS 0. Neither duplicate nor retained. */
export function encodePublish(topic: string, payload: Buffer, packetId: number | undefined): Buffer {
  const nameBytes = Buffer.byteLength(topic);
  const remaining = 2 + nameBytes + (packetId === undefined ? 0 : 2) + payload.length;
  const bytes = Buffer.allocUnsafe(packetBytes(remaining));
  let at = bytes.writeUInt8(packetId === undefined ? 0x30 : 0x32, 0);
  for (let left = remaining; ; ) {
    const low = left % 128;
    left = Math.floor(left / 128);
    at = bytes.writeUInt8(left > 0 ? low | 0x80 : low, at);
    if (left === 0) break;
  }
  at = bytes.writeUInt16BE(nameBytes, at);
  at += bytes.write(topic, at);
  if (packetId !== undefined) at = bytes.writeUInt16BE(packetId, at);
  payload.copy(bytes, at);
  return bytes;
}

function isText(text: string): boolean {
  return Buffer.byteLength(text) <= MOST_STRING_BYTES && !text.includes("\0") && Buffer.from(text).toString() === text;
}

function textBytes(text: string): number {
  return 2 + Buffer.byteLength(text);
}

function lengthBytes(length: number): number {
  if (length < 128) return 1;
  if (length < 16_384) return 2;
  return length < 2_097_152 ? 3 : 4;
}

function packetBytes(remaining: number): number {
  return 1 + lengthBytes(remaining) + remaining;
}
