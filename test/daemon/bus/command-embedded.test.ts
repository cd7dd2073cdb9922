import { connect as connectSocket, type Socket } from "node:net";
import { tmpdir } from "node:os";
import type { MqttClient } from "mqtt";
import { afterEach, expect, it } from "vitest";
import { embeddedBusSchema } from "../../../config/bus.ts";
import type { BusReading } from "../../../daemon/act/tool.ts";
import { EmbeddedCommandBus } from "../../../daemon/bus/command-embedded.ts";
import { EmbeddedBus } from "../../../daemon/bus/embedded.ts";
import { namedFiles } from "../../../daemon/bus/named-files.ts";
import { systemClock } from "../../../daemon/clock.ts";
import { freePort } from "../../../scripts/trial/daemon.ts";
import { Inbox, recordingLog, sensor, until } from "../../support/bus.ts";
import { command, never, no, yes } from "../../support/commands.ts";

const parts: { stop(): Promise<void> }[] = [];
const clients: MqttClient[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const part of parts.splice(0).reverse()) await part.stop();
});

async function opened() {
  const files = namedFiles({ baseDirectory: tmpdir(), environment: {} });
  const settings = embeddedBusSchema.parse({ kind: "embedded", port: await freePort() });
  const bus = new EmbeddedBus({ clock: systemClock(), log: recordingLog(), files }, settings);
  bus.subscribe([{ filter: "sensor/#", qos: 1, retained: false }]);
  const inbox = new Inbox(bus);
  await bus.start(never);
  const commands = new EmbeddedCommandBus(bus);
  const readings: BusReading[] = [];
  commands.onReading = (reading) => readings.push(reading);
  commands.watch(["plant/+/state", "sensor/1"]);
  parts.push(bus, commands);
  return { bus, inbox, commands, readings, url: bus.status().address };
}

async function started() {
  const all = await opened();
  await all.commands.start(never);
  return all;
}

async function client(url: string, options: Record<string, unknown> = {}): Promise<MqttClient> {
  const one = await sensor(url, options);
  one.on("error", () => {});
  clients.push(one);
  return one;
}

/** A device that takes commands; returns what it got. */
async function device(url: string, filter: string, qos: 0 | 1 | 2 = 1, options: Record<string, unknown> = {}) {
  const one = await client(url, options);
  const got: string[] = [];
  one.on("message", (topic, payload, { retain, dup, qos }) => got.push(`${topic} ${payload} ${retain} ${dup} ${qos}`));
  await one.subscribeAsync(filter, { qos });
  return { client: one, got };
}

const noSubscriber = { kind: "failed", reason: "noSubscriber", left: false, permanent: true };

it("hands a command to the client that has subscribed, which acknowledges it itself", async () => {
  const { commands, url } = await started();
  const one = await device(url, "plant/+/set");
  const sent = await commands.publish(command("plant/1/set", "on"), yes, never);
  expect(sent).toEqual({ kind: "acknowledged", detail: { subscribers: 1, confirmed: 1 } });
  expect(one.got).toEqual(["plant/1/set on false false 1"]);
});

it("fails at once when no connected client has subscribed", async () => {
  const { bus, commands, url } = await started();
  expect(await commands.publish(command("plant/1/set", "on"), yes, never)).toEqual(noSubscriber);
  const one = await device(url, "plant/2/set");
  expect(await commands.publish(command("plant/1/set", "on"), yes, never)).toEqual(noSubscriber);
  await one.client.subscribeAsync("plant/1/set", { qos: 1 });
  expect((await commands.publish(command("plant/1/set", "on"), yes, never)).kind).toBe("acknowledged");
  await one.client.unsubscribeAsync("plant/1/set");
  expect(await commands.publish(command("plant/1/set", "on"), yes, never)).toEqual(noSubscriber);
  await one.client.endAsync(true);
  await until("the end", () => bus.status().clients === 0);
  expect(await commands.publish(command("plant/2/set", "on"), yes, never)).toEqual(noSubscriber);
});

it("keeps nothing for a persistent session that is away, nor what such a session did not acknowledge", async () => {
  const { commands, url } = await started();
  const session = { clientId: "valve", clean: false };
  const away = await device(url, "plant/1/set", 1, session);
  away.client.handleMessage = () => {};
  const open = commands.publish(command("plant/1/set", "unacknowledged"), yes, never);
  await until("the command", () => away.got.length === 1);
  away.client.stream.destroy();
  expect(await open).toEqual({ kind: "unknown", reason: "connectionLost" });
  expect(await commands.publish(command("plant/1/set", "absent"), yes, never)).toEqual(noSubscriber);
  const back = await client(url, session);
  const got: string[] = [];
  back.on("message", (_, payload, { dup }) => got.push(`${payload} ${dup}`));
  // The broker counts it as connected a turn after its CONNACK.
  await back.publishAsync("plant/1/state", "here", { qos: 1 });
  const sent = await commands.publish(command("plant/1/set", "present"), yes, never);
  expect(sent.kind).toBe("acknowledged");
  expect(got).toEqual(["present false"]);
});

it("hands a command once to a client whose subscriptions overlap, and to each client", async () => {
  const { commands, url } = await started();
  const one = await device(url, "plant/#", 0);
  await one.client.subscribeAsync("plant/+/set", { qos: 1 });
  const two = await device(url, "plant/1/set", 0);
  const three = await device(url, "plant/1/set", 2);
  const sent = await commands.publish(command("plant/1/set", "on"), yes, never);
  expect(sent).toEqual({ kind: "acknowledged", detail: { subscribers: 3, confirmed: 2 } });
  await until("the one without acknowledgements", () => two.got.length === 1);
  expect([one.got, two.got, three.got].map((got) => got.map((line) => line.at(-1)))).toEqual([["1"], ["0"], ["1"]]);
});

it("does not know what became of a command that its client does not acknowledge in time", async () => {
  const { commands, url } = await started();
  const one = await device(url, "plant/1/set");
  one.client.handleMessage = () => {};
  const sent = await commands.publish(command("plant/1/set", "on", { timeoutMs: 100 }), yes, never);
  expect(sent).toEqual({ kind: "unknown", reason: "noAcknowledgement" });
});

it("writes nothing when the gate says no or the signal is aborted", async () => {
  const { commands, url } = await started();
  const one = await device(url, "plant/1/set");
  const stopped = { kind: "failed", reason: "stopped", left: false };
  expect(await commands.publish(command("plant/1/set", "a"), no, never)).toEqual(stopped);
  expect(await commands.publish(command("plant/1/set", "b"), yes, AbortSignal.abort())).toEqual(stopped);
  await commands.publish(command("plant/1/set", "c"), yes, never);
  expect(one.got.length).toBe(1);
});

it("does not ask the gate when nobody has subscribed or the topic is none", async () => {
  const { commands } = await started();
  let asked = 0;
  const gate = (): boolean => {
    asked += 1;
    return true;
  };
  await commands.publish(command("plant/1/set", "a"), gate, never);
  const wrong = await commands.publish(command("plant/+/set", "a"), gate, never);
  expect(wrong).toEqual({ kind: "failed", reason: "topic", left: false, permanent: true });
  expect(asked).toBe(0);
});

it("carries payloads of all sizes", async () => {
  const { commands, url } = await started();
  const one = await client(url);
  const sizes: number[] = [];
  one.on("message", (_, payload) => sizes.push(payload.length));
  await one.subscribeAsync("plant/é/set", { qos: 1 });
  const wanted = [0, 1, 110, 111, 112, 16_366, 16_367, 16_368, 70_000, 2_097_133, 2_097_134, 2_097_140];
  for (const size of wanted) {
    const sent = await commands.publish(command("plant/é/set", "", { payload: Buffer.alloc(size, 65) }), yes, never);
    expect(sent.kind).toBe("acknowledged");
  }
  expect(sizes).toEqual(wanted);
});

it("hands over readings as they come, also what the agents hold or wait for", async () => {
  const { bus, inbox, readings, url } = await started();
  inbox.releasesAtOnce = false;
  const one = await client(url);
  await one.publishAsync("plant/1/state", "open", { qos: 1, retain: true });
  one.publish("sensor/1", "held", { qos: 1 });
  one.publish("sensor/2", "not watched", { qos: 1 });
  await until("the held ones", () => inbox.messages.length === 2);
  expect(readings.map(({ topic, payload, retained }) => [topic, payload.toString(), retained])).toEqual([
    ["plant/1/state", "open", false],
    ["sensor/1", "held", false],
  ]);
  expect(bus.status().heldAcknowledgements).toBe(2);
});

it("goes on with commands and readings while the agents take no more from the sensors", async () => {
  const { bus, inbox, commands, readings, url } = await started();
  const one = await device(url, "plant/1/set");
  const sensors = await Promise.all([1, 2, 3].map(() => client(url)));
  bus.pause();
  for (let at = 0; at < 300; at += 1) sensors[at % 3]?.publish("sensor/2", `${at}`, { qos: at % 2 === 0 ? 1 : 0 });
  for (let at = 0; at < 20; at += 1) {
    const sent = await commands.publish(command("plant/1/set", "on"), yes, never);
    expect(sent.kind).toBe("acknowledged");
    await one.client.publishAsync("plant/1/state", "on", { qos: 1 });
  }
  expect(readings.length).toBe(20);
  expect(inbox.messages).toEqual([]);
  bus.resume();
  await until("all that waited", () => inbox.messages.length === 300);
});

it("flags what the broker had stored before the start", async () => {
  const { commands, readings, url } = await opened();
  const one = await client(url);
  await one.publishAsync("plant/1/state", "old", { qos: 1, retain: true });
  await one.publishAsync("other/1/state", "other", { qos: 1, retain: true });
  await until("it to be stored", () => one.connected);
  await one.subscribeAsync("plant/1/state");
  await commands.start(never);
  await one.publishAsync("plant/1/state", "new", { qos: 1 });
  await until("both", () => readings.length === 2);
  expect(readings.map(({ payload, retained }) => [payload.toString(), retained])).toEqual([
    ["old", true],
    ["new", false],
  ]);
});

it("hands over the last will of a device that vanished", async () => {
  const { readings, url } = await started();
  const will = { topic: "plant/1/state", payload: Buffer.from("lost"), qos: 1, retain: false };
  const one = await client(url, { will });
  one.stream.destroy();
  await until("the will", () => readings.length === 1);
  expect(readings[0]?.payload.toString()).toBe("lost");
});

it("does not take a command for a sensor's message or a reading", async () => {
  const { commands, inbox, readings, url } = await started();
  await device(url, "sensor/1");
  expect((await commands.publish(command("sensor/1", "on"), yes, never)).kind).toBe("acknowledged");
  expect(inbox.messages).toEqual([]);
  expect(readings).toEqual([]);
});

it("is drained when each client has acknowledged, and cuts off one that does not", async () => {
  const { commands, url } = await started();
  const good = await device(url, "plant/1/set");
  const bad = await device(url, "plant/2/set");
  bad.client.handleMessage = () => {};
  await commands.publish(command("plant/1/set", "a"), yes, never);
  await commands.drained();
  expect(bad.client.connected).toBe(true);
  const open = commands.publish(command("plant/2/set", "a"), yes, never);
  await commands.drained();
  expect(await open).toEqual({ kind: "unknown", reason: "connectionLost" });
  await until("the end", () => !bad.client.connected);
  expect(good.client.connected).toBe(true);
});

it("cuts off a client that did not acknowledge in time and says nothing more", async () => {
  const { commands, url } = await started();
  const one = await device(url, "plant/1/set", 1, { keepalive: 0 });
  one.client.handleMessage = () => {};
  await commands.publish(command("plant/1/set", "on", { timeoutMs: 50 }), yes, never);
  await until("the end", () => !one.client.connected);
  const other = await device(url, "plant/2/set", 1, { keepalive: 1 });
  // Not acknowledged either, but the library goes on with its pings.
  other.client.handleMessage = (_, done) => done(new Error("broken"));
  await commands.publish(command("plant/2/set", "on", { timeoutMs: 50 }), yes, never);
  await new Promise((resolve) => setTimeout(resolve, 5_500));
  expect(other.client.connected).toBe(true);
});

it("is busy while a client does not read, and lets nothing out of its buffers once it is drained", async () => {
  const { commands, url } = await started();
  const socket = connectSocket(Number(new URL(url).port), "127.0.0.1");
  sockets.push(socket);
  let bytes = 0;
  const text = (value: string): number[] => [0, value.length, ...Buffer.from(value)];
  socket.write(Buffer.from([0x10, 13, ...text("MQTT"), 4, 2, 0, 0, ...text("x")]));
  socket.write(Buffer.from([0x82, 16, 0, 1, ...text("plant/1/set"), 1]));
  socket.on("data", (chunk) => (bytes += chunk.length));
  await until("CONNACK and SUBACK", () => bytes === 9);
  socket.pause();
  const payload = Buffer.alloc(20_000_000, 65);
  const open = commands.publish(command("plant/1/set", "", { payload }), yes, never);
  const busy = await commands.publish(command("plant/1/set", "x"), yes, never);
  expect(busy).toEqual({ kind: "failed", reason: "busy", left: false });
  await commands.drained();
  expect((await open).kind).toBe("unknown");
  socket.on("error", () => {});
  socket.resume();
  await new Promise((resolve) => socket.once("close", resolve));
  expect(bytes).toBeLessThan(payload.length);
});

it("refuses commands before the start and from the stop on", async () => {
  const { commands, url } = await opened();
  await device(url, "plant/1/set");
  const refused = { kind: "failed", reason: "notConnected", left: false };
  expect(await commands.publish(command("plant/1/set", "a"), yes, never)).toEqual(refused);
  const connected = commands.connected(never);
  await commands.start(never);
  await connected;
  expect(commands.isConnected).toBe(true);
  const stopped = commands.stop();
  expect(await commands.publish(command("plant/1/set", "a"), yes, never)).toEqual(refused);
  await stopped;
  expect(commands.isConnected).toBe(false);
});
