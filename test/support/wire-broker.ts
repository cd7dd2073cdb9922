import { createServer, type Socket } from "node:net";

/** What to do with each connection: refuse it with a CONNACK, or take it and end it with a DISCONNECT, or just take it. */
export type Script =
  | { readonly connack: number }
  | { readonly disconnect: number; readonly serverReference?: string }
  | { readonly take: "well" | "silently" }
  | { readonly hangUp: true };

export interface WireBroker {
  readonly url: string;
  readonly port: number;
  readonly connects: () => number;
  /** Types of the packets that came (the upper four bits of the first byte). */
  readonly packets: readonly number[];
  close(): Promise<void>;
}

const CONNECT = 1;
const PUBLISH = 3;
const SUBSCRIBE = 8;
const PINGREQ = 12;

/** A broker that speaks MQTT 5 by the byte, as its script says. `properties`: those of its CONNACK. */
export async function wireBroker(
  script: (connection: number) => Script,
  properties: readonly number[] = [],
): Promise<WireBroker> {
  let connects = 0;
  const packets: number[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    let rest = Buffer.alloc(0);
    let todo: Script = { take: "well" };
    socket.on("data", (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (let packet = first(rest); packet !== undefined; packet = first(rest)) {
        rest = rest.subarray(packet.length);
        const type = (packet.bytes[0] ?? 0) >> 4;
        packets.push(type);
        if (type === CONNECT) {
          todo = script(connects);
          connects += 1;
        }
        const answer = answerOf(type, packet, todo, properties);
        if (answer === "hangUp") socket.destroy();
        else if (answer.length > 0) socket.write(Buffer.from(answer));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    ...{ url: `mqtt://127.0.0.1:${address.port}`, port: address.port, packets, connects: () => connects },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

interface Packet {
  readonly bytes: Buffer;
  readonly length: number;
  /** Where what follows the fixed header begins. */
  readonly body: number;
}

function first(bytes: Buffer): Packet | undefined {
  let [length, shift, at] = [0, 0, 1];
  for (; ; at++) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    length += (byte & 127) << shift;
    shift += 7;
    if (byte < 128) break;
  }
  const whole = at + 1 + length;
  return bytes.length < whole ? undefined : { bytes: bytes.subarray(0, whole), length: whole, body: at + 1 };
}

function answerOf(
  type: number,
  { bytes, body }: Packet,
  todo: Script,
  properties: readonly number[],
): readonly number[] | "hangUp" {
  if ("hangUp" in todo) return "hangUp";
  if (type === CONNECT) {
    if ("connack" in todo) return [0x20, 3, 0, todo.connack, 0];
    return [0x20, 3 + properties.length, 0, 0, properties.length, ...properties];
  }
  if ("take" in todo && todo.take === "silently") return [];
  if (type === SUBSCRIBE) {
    const suback = [0x90, 4, bytes[body] ?? 0, bytes[body + 1] ?? 0, 0, 1];
    // As many answers as filters; the link asks for few, so a length of one byte is enough.
    const filters = filtersIn(bytes.subarray(body + 3));
    suback.splice(5, 1, ...Array<number>(filters).fill(1));
    suback[1] = 3 + filters;
    return "disconnect" in todo ? [...suback, ...disconnect(todo)] : suback;
  }
  if (type === PUBLISH && ((bytes[0] ?? 0) & 6) !== 0) {
    const topic = bytes.readUInt16BE(body);
    return [0x40, 3, bytes[body + 2 + topic] ?? 0, bytes[body + 3 + topic] ?? 0, 0x10];
  }
  return type === PINGREQ ? [0xd0, 0] : [];
}

function filtersIn(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at + 2 <= bytes.length; at += 3 + bytes.readUInt16BE(at)) count += 1;
  return count;
}

function disconnect({ disconnect: code, serverReference }: { disconnect: number; serverReference?: string }): number[] {
  if (serverReference === undefined) return [0xe0, 2, code, 0];
  const text = Buffer.from(serverReference);
  return [0xe0, 5 + text.length, code, 3 + text.length, 0x1c, text.length >> 8, text.length & 255, ...text];
}
