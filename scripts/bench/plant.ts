// A process of its own that is the plant: a sensor and its valves, which do as they are told and say how they stand.
// Both are here so that one clock tells how long it took from a message to its effect.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { PacketReader } from "./packet-reader.ts";
import { AckCounter, connectPacket, lengthBytes, type PublishTemplate, writePublish } from "./packets.ts";
import { nowUs, sleep } from "./place.ts";
import { type Feed, makeSwinging, VARIANTS } from "./templates.ts";

export interface PlantOptions extends Feed {
  readonly port: number;
  readonly count: number;
  /** Messages a second, evenly spaced; 0: as fast as the broker acknowledges them. */
  readonly perSecond: number;
  /** `ts` of message i is firstTimeMs + i, and `n` of its command too. */
  readonly firstTimeMs: number;
  readonly inFlight: number;
  /** Float64 monotonic microseconds of each message, in order; and of each one's effect, 0 where none came. */
  readonly sentFile: string;
  readonly effectsFile: string;
}

export interface PlantFigures {
  readonly sent: number;
  readonly effects: number;
  /** Commands beyond the first of a message. */
  readonly twice: number;
  readonly startedUs: number;
  readonly cpuUs: number;
}

/** A program that does nothing for so long will not do the rest. */
const STALLED_MS = 10_000;
const CHUNK = 16;

const options = JSON.parse(process.argv[2] as string) as PlantOptions;
const sentUs = new Float64Array(options.count);
const effectUs = new Float64Array(options.count);
let sent = 0;
let effects = 0;
let twice = 0;
let newsUs = 0;
let finish = (): void => {};
const finished = new Promise<void>((resolve) => {
  finish = resolve;
});

async function open(name: string): Promise<Socket> {
  const socket = connect(options.port, "127.0.0.1");
  socket.setNoDelay(true);
  await once(socket, "connect");
  socket.write(connectPacket(`bench-${name}-${process.pid}`));
  return socket;
}

/** The valves listen for commands, note when each came, and say how they stand now. */
async function startValves(): Promise<Socket> {
  const socket = await open("valves");
  let isSubscribed = (): void => {};
  const subscribed = new Promise<void>((resolve) => {
    isSubscribed = resolve;
  });
  let packetId = 0;
  const reader = new PacketReader((first, body) => {
    if (first >> 4 === 9) isSubscribed();
    if (first >> 4 !== 3) return;
    const now = nowUs();
    const nameEnd = 2 + body.readUInt16BE(0);
    const state = command(now, body.subarray(nameEnd + 2));
    packetId = (packetId % 65535) + 1;
    const stateTopic = body.toString("latin1", 2, nameEnd).replace(/command$/, "state");
    socket.write(Buffer.from([0x40, 2, body[nameEnd] as number, body[nameEnd + 1] as number]));
    socket.write(statePacket(stateTopic, packetId, state));
  });
  socket.on("data", (chunk) => {
    // All that came in this turn is answered in one write.
    socket.cork();
    reader.push(chunk);
    socket.uncork();
  });
  const filter = Buffer.from("\0\x0fbench/+/command\x01", "latin1");
  socket.write(Buffer.concat([Buffer.from([0x82, filter.length + 2, 0, 1]), filter]));
  await subscribed;
  return socket;
}

/** One command: its effect is there from now on. */
function command(now: number, payload: Buffer): string {
  const { n, open } = JSON.parse(payload.toString()) as { n: number; open: boolean };
  const at = n - options.firstTimeMs;
  if (effectUs[at] !== 0) twice += 1;
  else {
    effectUs[at] = now;
    effects += 1;
  }
  newsUs = now;
  if (effects === options.count) finish();
  return JSON.stringify({ open, n });
}

function statePacket(topic: string, packetId: number, payload: string): Buffer {
  const name = Buffer.from(topic);
  const head = Buffer.concat([Buffer.from([0, name.length]), name, Buffer.from([packetId >> 8, packetId & 255])]);
  const body = Buffer.from(payload);
  return Buffer.concat([Buffer.from([0x32]), lengthBytes(head.length + body.length), head, body]);
}

const templates = makeSwinging(options);
const largest = Math.max(...templates.map((template) => template.bytes.length));
const acks = new AckCounter();
const sensor = await open("sensor");
sensor.on("data", (chunk) => acks.push(chunk));
const valves = await startValves();
while (!acks.isConnected) await once(sensor, "data");

function send(messages: number): boolean {
  const chunk = Buffer.allocUnsafeSlow(messages * largest);
  const now = nowUs();
  let end = 0;
  for (let at = 0; at < messages; at++, sent++) {
    const template = templates[sent % VARIANTS] as PublishTemplate;
    end = writePublish(chunk, end, template, options.firstTimeMs + sent, 1 + (sent % 65535));
    sentUs[sent] = now;
  }
  return sensor.write(chunk.subarray(0, end));
}

async function flood(): Promise<void> {
  while (sent < options.count) {
    const room = options.inFlight - (sent - acks.acknowledged);
    const next = Math.min(CHUNK, room, options.count - sent);
    if (next <= 0) await once(sensor, "data");
    else if (!send(next)) await once(sensor, "drain");
    else await new Promise(setImmediate);
  }
}

/** By timers, since the valves must not be kept from listening: a millisecond too late changes nothing. */
async function pace(): Promise<void> {
  const startUs = nowUs();
  while (sent < options.count) {
    const due = Math.min(options.count, 1 + Math.floor(((nowUs() - startUs) * options.perSecond) / 1e6));
    while (sent < due) send(1);
    await sleep((startUs + (sent * 1e6) / options.perSecond - nowUs()) / 1000);
  }
}

const startedUs = nowUs();
await (options.perSecond === 0 ? flood() : pace());
newsUs = nowUs();
const stall = setInterval(() => {
  if (nowUs() - newsUs > STALLED_MS * 1000) finish();
}, 100);
if (effects < options.count) await finished;
clearInterval(stall);
// What may come a second time comes soon.
await sleep(500);
writeFileSync(options.sentFile, sentUs);
writeFileSync(options.effectsFile, effectUs);
sensor.end();
valves.end();
const { user, system } = process.cpuUsage();
const figures: PlantFigures = { sent, effects, twice, startedUs, cpuUs: user + system };
console.log(JSON.stringify({ event: "done", ...figures }));
