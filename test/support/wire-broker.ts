import { createServer, type Server, type Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import mqttPacket, { type IPublishPacket, type Packet } from "mqtt-packet";

/**
 * What to do with each connection: refuse it with a CONNACK, take it and end it with a DISCONNECT at its first message,
 * or just take it.
 */
export type Script =
  | { readonly connack: number; readonly serverReference?: string }
  | { readonly disconnect: number; readonly serverReference?: string; readonly reasonString?: string }
  | { readonly take: Manner }
  /** Whatever comes, these bytes are the answer. */
  | { readonly raw: readonly number[] }
  | { readonly hangUp: true };

/**
 * well: answers everything. silently: nothing after the CONNACK. silentAfter: nothing after the SUBACK. halfDeaf: pings, and nothing else. noSuback: all but
 * subscriptions. tooLarge: ends it (0x95) at a message of more than 1 KB. strict: ends it (0x93) at more messages at once
 * than its Receive Maximum.
 */
type Manner = "well" | "silently" | "silentAfter" | "halfDeaf" | "noSuback" | "tooLarge" | "strict";

export interface WireBroker {
  readonly url: string;
  readonly port: number;
  readonly connects: () => number;
  readonly open: () => number;
  /** What came, of all connections. */
  readonly packets: readonly Packet[];
  /** The most messages of QoS 1 that had no answer at one time. */
  readonly mostUnderWay: () => number;
  /** To every open connection. False: a connection's buffer is full. */
  send(packet: Packet): boolean;
  /** What of that no kernel has taken yet. */
  unsentBytes(): number;
  close(): Promise<void>;
}

export interface WireOptions {
  /** Of its CONNACK. */
  readonly properties?: { readonly receiveMaximum?: number; readonly maximumPacketSize?: number };
  /** The PUBACK's reason code. Default: 0x10, nobody listens. */
  readonly puback?: number;
}

const VERSION = { protocolVersion: 5 };
const LARGE_BYTES = 1024;

/** A broker that speaks MQTT 5 as its script says, over a server of sockets that is given or its own. */
export async function wireBroker(
  script: (connection: number) => Script,
  options: WireOptions = {},
  server: Server = createServer({ noDelay: true }),
): Promise<WireBroker> {
  let [connects, most] = [0, 0];
  const packets: Packet[] = [];
  const sockets = new Set<Socket>();
  server.on(server instanceof TlsServer ? "secureConnection" : "connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
    const state = { todo: { take: "well" } as Script, underWay: 0 };
    const parser = mqttPacket.parser(VERSION);
    const write = (packet: Packet): boolean => socket.write(mqttPacket.generate(packet, VERSION));
    parser.on("packet", (packet) => {
      packets.push(packet);
      if (packet.cmd === "connect") state.todo = script(connects++);
      if (packet.cmd === "disconnect") return socket.end();
      if ("hangUp" in state.todo) return socket.destroy();
      if ("raw" in state.todo) return socket.write(Buffer.from(state.todo.raw));
      if (packet.cmd === "publish" && packet.qos === 1) {
        most = Math.max(most, ++state.underWay);
        if ("disconnect" in state.todo) return write(disconnect(state.todo));
        const ends = endAt(state.todo, packet, state.underWay, options);
        if (ends !== undefined) return write({ cmd: "disconnect", reasonCode: ends });
        // Later, so that others of the same moment are without an answer too.
        setImmediate(() => {
          if (!answers(state.todo, "publish")) return;
          state.underWay -= 1;
          write({ cmd: "puback", messageId: packet.messageId ?? 0, reasonCode: options.puback ?? 0x10 });
        });
        return undefined;
      }
      for (const answer of answersTo(packet, state.todo, options)) write(answer);
      return undefined;
    });
    socket.on("data", (bytes) => parser.parse(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    ...{ url: `mqtt://127.0.0.1:${address.port}`, port: address.port, packets },
    ...{ connects: () => connects, open: () => sockets.size, mostUnderWay: () => most },
    unsentBytes: () => [...sockets].reduce((sum, socket) => sum + socket.writableLength, 0),
    send: (packet) => [...sockets].every((socket) => socket.write(mqttPacket.generate(packet, VERSION))),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** The topics and texts of the messages that came. */
export function published(packets: readonly Packet[]): { topic: string; text: string }[] {
  return packets.flatMap((packet) =>
    packet.cmd === "publish" ? [{ topic: packet.topic, text: packet.payload.toString() }] : [],
  );
}

function answers(todo: Script, to: "publish" | "subscribe" | "pingreq"): boolean {
  if (!("take" in todo)) return true;
  const { take } = todo;
  if (take === "silently" || take === "silentAfter") return take === "silentAfter" && to === "subscribe";
  return (take !== "halfDeaf" || to !== "publish") && (take !== "noSuback" || to !== "subscribe");
}

function endAt(todo: Script, { payload }: IPublishPacket, underWay: number, options: WireOptions): number | undefined {
  if (!("take" in todo)) return undefined;
  if (todo.take === "tooLarge" && payload.length > LARGE_BYTES) return 0x95;
  const isTooMuch = todo.take === "strict" && underWay > (options.properties?.receiveMaximum ?? 65_535);
  return isTooMuch ? 0x93 : undefined;
}

function answersTo(packet: Packet, todo: Script, { properties = {} }: WireOptions): Packet[] {
  if (packet.cmd === "connect") {
    if ("connack" in todo) return [connack(todo.connack, reference(todo))];
    return [connack(0, { ...properties })];
  }
  if (packet.cmd === "subscribe" && answers(todo, "subscribe")) {
    const granted = packet.subscriptions.map(() => 1);
    const suback: Packet = { cmd: "suback", messageId: packet.messageId ?? 0, granted };
    return [suback];
  }
  return packet.cmd === "pingreq" && answers(todo, "pingreq") ? [{ cmd: "pingresp" }] : [];
}

function connack(reasonCode: number, properties: object): Packet {
  return { cmd: "connack", reasonCode, sessionPresent: false, properties };
}

function disconnect(todo: { disconnect: number; serverReference?: string; reasonString?: string }): Packet {
  const { disconnect: reasonCode, reasonString } = todo;
  const said = reasonString === undefined ? {} : { reasonString };
  return { cmd: "disconnect", reasonCode, properties: { ...reference(todo), ...said } };
}

function reference({ serverReference }: { serverReference?: string }): { serverReference?: string } {
  return serverReference === undefined ? {} : { serverReference };
}
