// The bare loop: the least program of the daemon's shape. It takes every message on trust, holds no acknowledgement
// back and remembers nothing; what it reaches is the ceiling that the daemon is measured against.
import { spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import mqtt from "mqtt";
import { FrameReader, MAX_ROWS } from "./frames.ts";

interface Event {
  readonly key: string;
  readonly ts: number;
  readonly [field: string]: number | string;
}

export interface BareOptions {
  readonly url: string;
  readonly topic: string;
  readonly qos: 0 | 1;
  readonly model: string;
  readonly database: string;
  readonly fields: readonly string[];
  /** Each message has an effect: when its row is durable, a command is published; true from this reading on. */
  readonly openFrom?: number | undefined;
}

const options = JSON.parse(process.argv[2] as string) as BareOptions;
const { fields } = options;
const width = fields.length;

const host = spawn(
  process.execPath,
  [fileURLToPath(new URL("./host.js", import.meta.url)), options.model, String(width)],
  {
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  },
);
const pipe = host.stdio[3] as Duplex;
const { openFrom } = options;
const writer = new Worker(new URL("./writer.js", import.meta.url), {
  workerData: { path: options.database, tells: openFrom !== undefined },
});

let waiting: Event[] = [];
let isFlushDue = false;
/** Frames at the host, in order. */
const atHost: { events: Event[]; rows: number[][] }[] = [];

/** Batches at the writer, in order; only where something is done about them. */
const atWriter: Event[][] = [];

function flush(): void {
  isFlushDue = false;
  const events = waiting;
  if (events.length === 0) return;
  waiting = [];
  const frame = Buffer.allocUnsafeSlow(4 + 4 * events.length * width);
  frame.writeUInt32LE(events.length, 0);
  const values = new Float32Array(frame.buffer, 4, events.length * width);
  const rows: number[][] = [];
  let at = 0;
  for (const event of events) {
    const row: number[] = [];
    for (const field of fields) {
      const value = event[field] as number;
      row.push(value);
      values[at++] = value;
    }
    rows.push(row);
  }
  atHost.push({ events, rows });
  pipe.write(frame);
}

const reader = new FrameReader(1, (scores) => {
  const { events, rows } = atHost.shift() as { events: Event[]; rows: number[][] };
  const times: number[] = [];
  const bodies: string[] = [];
  for (let at = 0; at < events.length; at++) {
    const event = events[at] as Event;
    times.push(event.ts);
    bodies.push(JSON.stringify({ key: event.key, time: event.ts, inputs: rows[at], answer: scores[at] }));
  }
  if (openFrom !== undefined) atWriter.push(events);
  writer.postMessage({ times, bodies });
});
pipe.on("data", (chunk: Buffer) => reader.push(chunk));

const client = mqtt.connect(options.url, {
  protocolVersion: 5,
  reconnectPeriod: 0,
  properties: { receiveMaximum: 1024 },
});
client.on("connect", () => {
  (client.stream as import("node:net").Socket).setNoDelay(true);
  client.subscribe(options.topic, { qos: options.qos }, () => console.log(JSON.stringify({ event: "ready" })));
});
client.on("message", (_topic, payload) => {
  waiting.push(JSON.parse(payload.toString()) as Event);
  if (waiting.length >= MAX_ROWS) flush();
  else if (!isFlushDue) {
    isFlushDue = true;
    setImmediate(flush);
  }
});

/** So many batches are durable: their commands may leave. */
writer.on("message", (batches: number) => {
  for (const events of atWriter.splice(0, batches)) {
    for (const event of events) {
      const open = (event[fields[0] as string] as number) >= (openFrom as number);
      client.publish(`bench/${event.key}/command`, JSON.stringify({ n: event.ts, open }), { qos: 1 });
    }
  }
});

process.once("SIGTERM", () => {
  client.end(true, () => {
    flush();
    pipe.end();
    pipe.once("close", () => writer.postMessage("end"));
  });
});
