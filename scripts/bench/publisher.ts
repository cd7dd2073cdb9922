// A process of its own that publishes as cheaply as it can: packets are made beforehand and written to the socket raw.

import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { connect } from "node:net";
import { AckCounter, connectPacket, type PublishTemplate, writePublish } from "./packets.ts";
import { makeTemplates, VARIANTS } from "./templates.ts";

export interface PublisherOptions {
  readonly port: number;
  readonly topic: string;
  readonly qos: 0 | 1;
  readonly fields: readonly string[];
  readonly keys: number;
  readonly count: number;
  /** Messages a second, evenly spaced; 0 floods. */
  readonly perSecond: number;
  /** `ts` of message i is firstTimeMs + i: it names the message in every record. */
  readonly firstTimeMs: number;
  /** At QoS 1: how many may be unacknowledged. */
  readonly inFlight: number;
  /** Float64 monotonic microseconds of each message, in order. */
  readonly sentFile: string;
}

const options = JSON.parse(process.argv[2] as string) as PublisherOptions;
const CHUNK = 64;

const templates = makeTemplates(options);
const largest = Math.max(...templates.map((template) => template.bytes.length));
const acks = new AckCounter();
const socket = connect(options.port, "127.0.0.1");
socket.setNoDelay(true);
await once(socket, "connect");
socket.on("data", (chunk) => acks.push(chunk));
socket.write(connectPacket(`bench-publisher-${process.pid}`));
while (!acks.isConnected) await once(socket, "data");

const sentUs = new Float64Array(1024);
let sent = 0;
let noted = 0;

function note(nowUs: number): void {
  sentUs[noted++] = nowUs;
  if (noted === sentUs.length) writeNotes();
}

function writeNotes(): void {
  if (noted > 0) appendFileSync(options.sentFile, new Uint8Array(sentUs.buffer, 0, 8 * noted));
  noted = 0;
}

const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** Writes the next messages in one piece; false when the socket is full. */
function send(messages: number): boolean {
  const chunk = Buffer.allocUnsafeSlow(messages * largest);
  const now = nowUs();
  let end = 0;
  for (let at = 0; at < messages; at++, sent++) {
    const template = templates[sent % VARIANTS] as PublishTemplate;
    end = writePublish(chunk, end, template, options.firstTimeMs + sent, 1 + (sent % 65535));
    note(now);
  }
  return socket.write(chunk.subarray(0, end));
}

async function flood(): Promise<void> {
  while (sent < options.count) {
    const room = options.qos === 0 ? CHUNK : Math.min(CHUNK, options.inFlight - (sent - acks.acknowledged));
    const next = Math.min(room, options.count - sent);
    if (next <= 0) await once(socket, "data");
    else if (!send(next)) await once(socket, "drain");
    else await new Promise(setImmediate);
  }
}

/** Sleeps in the kernel until the next one is due: timers are too coarse for a message each millisecond. */
async function pace(): Promise<void> {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const startUs = nowUs();
  while (sent < options.count) {
    const due = Math.min(options.count, 1 + Math.floor(((nowUs() - startUs) * options.perSecond) / 1e6));
    while (sent < due) send(1);
    const restMs = (startUs + (sent * 1e6) / options.perSecond - nowUs()) / 1000;
    if (restMs > 0.02) Atomics.wait(cell, 0, 0, restMs);
    await new Promise(setImmediate);
  }
}

const startedUs = nowUs();
console.log(JSON.stringify({ event: "started", startedUs }));
await (options.perSecond === 0 ? flood() : pace());
writeNotes();
while (options.qos === 1 && acks.acknowledged < sent) await once(socket, "data");
socket.end();
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ event: "done", sent, startedUs, endedUs: nowUs(), cpuUs: user + system }));
