import { createServer, type Socket } from "node:net";

/** What the broker does with a PUBLISH: a PUBACK with this reason code, nothing, or the end of the connection. */
export type Answer = number | "silence" | "hangUp";

export interface AnsweringBroker {
  readonly url: string;
  /** Bodies (all after topic and packet id) of the PUBLISHes that came, on all connections. */
  readonly published: Buffer[];
  readonly connections: Socket[];
  /** PUBLISHes that were not answered yet. */
  unanswered(): number;
  close(): Promise<void>;
}

interface Options {
  /** Properties of the CONNACK, as bytes. */
  readonly properties?: readonly number[];
  /** For the first, second ... PUBLISH; the last one goes for the rest. */
  readonly answers: readonly Answer[];
  /** Answers after so long. */
  readonly delayMs?: number;
  /** A broker of MQTT 3.1.1. */
  readonly isOld?: boolean;
}

/** A broker of MQTT 5 that takes every CONNECT and SUBSCRIBE, and answers to commands as it is told. */
export async function answeringBroker(options: Options): Promise<AnsweringBroker> {
  const published: Buffer[] = [];
  const connections: Socket[] = [];
  let open = 0;
  const handle = (socket: Socket, type: number, body: Buffer): void => {
    const packetId = body.subarray(0, 2);
    if (type === 0x10) socket.write(connack(options, body[6] ?? 0));
    else if (type === 0x82) socket.write(suback(packetId, body, options.isOld === true));
    else if (type === 0xc0) socket.write(Buffer.from([0xd0, 0]));
    else if (type >> 4 === 3) take(socket, body);
  };
  const take = (socket: Socket, body: Buffer): void => {
    const answer = options.answers[Math.min(published.length, options.answers.length - 1)];
    const after = 2 + body.readUInt16BE(0);
    published.push(body.subarray(after + 2));
    open += 1;
    if (answer === "hangUp") socket.destroy();
    if (typeof answer !== "number") return;
    const ack = Buffer.from([0x40, options.isOld === true ? 2 : 3, 0, 0, answer]);
    body.copy(ack, 2, after, after + 2);
    setTimeout(() => {
      open -= 1;
      socket.write(options.isOld === true ? ack.subarray(0, 4) : ack);
    }, options.delayMs ?? 0);
  };
  const server = createServer((socket) => {
    connections.push(socket);
    socket.on("error", () => {});
    let rest: Buffer = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      rest = eachPacket(Buffer.concat([rest, bytes]), (type, body) => handle(socket, type, body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `mqtt://127.0.0.1:${address.port}`,
    published,
    connections,
    unanswered: () => open,
    close: () => {
      for (const socket of connections) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** `level`: the version of MQTT that was asked for. */
function connack({ properties = [], isOld }: Options, level: number): Buffer {
  if (isOld === true) return Buffer.from([0x20, 2, 0, level === 5 ? 1 : 0]);
  return Buffer.from([0x20, 3 + properties.length, 0, 0, properties.length, ...properties]);
}

/** Grants QoS 1 to each filter. */
function suback(packetId: Buffer, body: Buffer, isOld: boolean): Buffer {
  let filters = 0;
  for (let at = isOld ? 2 : 3 + (body[2] ?? 0); at < body.length; at += 3 + body.readUInt16BE(at)) filters += 1;
  const codes = Array.from({ length: filters }, () => 1);
  const head = isOld ? [] : [0];
  return Buffer.from([0x90, 2 + head.length + filters, ...packetId, ...head, ...codes]);
}

/** Calls for each whole packet; returns the bytes that are not one yet. */
function eachPacket(bytes: Buffer, call: (type: number, body: Buffer) => void): Buffer {
  let rest = bytes;
  for (;;) {
    let length = 0;
    let at = 1;
    for (let shift = 0; ; shift += 7, at += 1) {
      const byte = rest[at];
      if (byte === undefined) return rest;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (rest.length < at + 1 + length) return rest;
    call(rest[0] ?? 0, rest.subarray(at + 1, at + 1 + length));
    rest = rest.subarray(at + 1 + length);
  }
}
