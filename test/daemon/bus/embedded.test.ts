import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { connect as connectSocket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MqttClient } from "mqtt";
import { afterEach, expect, it } from "vitest";
import { embeddedBusSchema } from "../../../config/bus.ts";
import type { Subscription } from "../../../daemon/bus/bus.ts";
import { EmbeddedBus } from "../../../daemon/bus/embedded.ts";
import { namedFiles } from "../../../daemon/bus/named-files.ts";
import { systemClock } from "../../../daemon/clock.ts";
import { freePort } from "../../../scripts/trial/daemon.ts";
import { Inbox, recordingLog, sensor, until } from "../../support/bus.ts";

const all: Subscription = { filter: "plant/#", qos: 1, retained: false };
const directory = mkdtempSync(join(tmpdir(), "bus-"));
const never = new AbortController().signal;
const buses: EmbeddedBus[] = [];
const clients: MqttClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  for (const bus of buses.splice(0)) await bus.stop();
});

async function build(
  config: Record<string, unknown> = {},
  wanted: readonly Subscription[] = [all],
  releasesAtOnce = true,
) {
  const log = recordingLog();
  const files = namedFiles({ baseDirectory: directory, environment: {} });
  const settings = embeddedBusSchema.parse({ kind: "embedded", port: await freePort(), ...config });
  const bus = new EmbeddedBus({ clock: systemClock(), log, files }, settings);
  bus.subscribe(wanted);
  const inbox = new Inbox(bus, releasesAtOnce);
  buses.push(bus);
  return { bus, log, inbox };
}

async function started(
  config: Record<string, unknown> = {},
  wanted: readonly Subscription[] = [all],
  releasesAtOnce = true,
) {
  const built = await build(config, wanted, releasesAtOnce);
  await built.bus.start(never);
  return { ...built, url: built.bus.status().address };
}

async function client(url: string, options: Record<string, unknown> = {}): Promise<MqttClient> {
  const one = await sensor(url, options);
  one.on("error", () => {});
  clients.push(one);
  return one;
}

it("acknowledges a message of QoS 1 when its receipt is released, in order of arrival", async () => {
  const { bus, inbox, url } = await started({}, [all], false);
  const one = await client(url);
  const acknowledged: string[] = [];
  for (const text of ["a", "b", "c"]) one.publish("plant/1", text, { qos: 1 }, () => acknowledged.push(text));
  await until("three messages", () => inbox.messages.length === 3);
  expect(bus.status().heldAcknowledgements).toBe(3);
  inbox.messages[1]?.receipt?.release();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(acknowledged).toEqual([]);
  inbox.messages[0]?.receipt?.release();
  await until("two acknowledgements", () => acknowledged.length === 2);
  inbox.messages[2]?.receipt?.release();
  await until("the third", () => acknowledged.length === 3);
  expect(acknowledged).toEqual(["a", "b", "c"]);
});

it("takes messages of QoS 0 and pings at once while others are held", async () => {
  const { inbox, url } = await started({}, [all], false);
  const one = await client(url, { keepalive: 1 });
  one.publish("plant/1", "held", { qos: 1 });
  await until("the first", () => inbox.messages.length === 1);
  await one.publishAsync("plant/1", "free", { qos: 0 });
  await until("the second", () => inbox.messages.length === 2);
  expect(inbox.messages[1]).toMatchObject({ qos: 0, receipt: undefined });
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(one.connected).toBe(true);
});

it("does not hold what no agent asked for, and keeps the broker's own topics to itself", async () => {
  const { inbox, url } = await started({}, [{ ...all, filter: "#" }], false);
  const { inbox: other, url: second } = await started({}, [all], false);
  const one = await client(second);
  await one.publishAsync("elsewhere/1", "x", { qos: 1 });
  expect(other.messages).toEqual([]);
  const two = await client(url);
  two.publish("plant/1", "x", { qos: 1 });
  await until("the message", () => inbox.messages.length === 1);
  expect(inbox.messages.map((message) => message.topic)).toEqual(["plant/1"]);
});

it("hands messages on to other clients", async () => {
  const { url } = await started();
  const reader = await client(url);
  const got: string[] = [];
  reader.on("message", (topic, payload) => got.push(`${topic} ${payload}`));
  await reader.subscribeAsync("plant/#", { qos: 1 });
  const one = await client(url);
  await one.publishAsync("plant/1", "x", { qos: 1 });
  await one.publishAsync("plant/2", "y", { qos: 0 });
  await until("both", () => got.length === 2);
  expect(got).toEqual(["plant/1 x", "plant/2 y"]);
});

it("gets again from the sensor what was not acknowledged when the connection broke", async () => {
  const { bus, inbox, url } = await started({}, [all], false);
  const one = await client(url, { clientId: "pump", clean: false, reconnectPeriod: 20 });
  one.publish("plant/1", "a", { qos: 1 });
  await until("the message", () => inbox.messages.length === 1);
  one.stream.destroy();
  await until("it again", () => inbox.messages.length === 2);
  expect(bus.status().heldAcknowledgements).toBe(1);
  inbox.messages[0]?.receipt?.release();
  expect(bus.status().heldAcknowledgements).toBe(1);
  inbox.messages[1]?.receipt?.release();
  expect(bus.status().heldAcknowledgements).toBe(0);
});

it("reads no client while too many are held, loses none, and throws nobody out", async () => {
  const { bus, inbox, url } = await started({ maxUnacknowledged: 20 }, [all], false);
  const sensors = await Promise.all([1, 2, 3, 4].map(() => client(url, { keepalive: 1 })));
  let acknowledged = 0;
  for (let at = 0; at < 2_000; at += 1) {
    sensors[at % 4]?.publish(`plant/${at % 4}`, String(at), { qos: 1 }, (error) => {
      if (!error) acknowledged += 1;
    });
  }
  await until("the bound", () => bus.status().heldAcknowledgements === 20);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(inbox.messages.length).toBe(20);
  expect(acknowledged).toBe(0);
  inbox.releasesAtOnce = true;
  inbox.releaseAll();
  await until("all of them", () => acknowledged === 2_000);
  expect(inbox.messages.length).toBe(2_000);
  for (let pump = 0; pump < 4; pump += 1) {
    const mine = inbox.messages
      .filter((message) => message.topic === `plant/${pump}`)
      .map((message) => Number(message.payload));
    expect(mine).toEqual([...mine].sort((a, b) => a - b));
  }
  expect(bus.status().heldAcknowledgements).toBe(0);
});

it("stands still while paused and goes on where it stood", async () => {
  const { bus, inbox, url } = await started();
  const one = await client(url);
  bus.pause();
  let acknowledged = 0;
  for (let at = 0; at < 100; at += 1)
    one.publish("plant/1", String(at), { qos: at % 2 === 0 ? 1 : 0 }, () => (acknowledged += 1));
  const late = await client(url);
  late.publish("plant/2", "late", { qos: 1 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(inbox.messages).toEqual([]);
  bus.resume();
  await until("all", () => inbox.messages.length === 101 && acknowledged === 100);
});

it("waits at the stop for what is held, and acknowledges it", async () => {
  const { bus, inbox, url } = await started({}, [all], false);
  const one = await client(url);
  const acknowledged = one.publishAsync("plant/1", "a", { qos: 1 });
  await until("the message", () => inbox.messages.length === 1);
  const stopped = bus.stop();
  setTimeout(() => inbox.releaseAll(), 100);
  await acknowledged;
  await stopped;
  await until("the end", () => !one.connected);
});

it("knows its users by their passwords and holds them to their topics", async () => {
  writeFileSync(join(directory, "pump.password"), "secret\n", { mode: 0o600 });
  const users = {
    pump: { passwordFile: "pump.password", publish: ["plant/pump/#"], subscribe: ["plant/pump/command"] },
  };
  const { inbox, url } = await started({ users });
  await expect(sensor(url)).rejects.toMatchObject({ code: 5 });
  await expect(sensor(url, { username: "pump", password: "wrong" })).rejects.toMatchObject({ code: 4 });
  await expect(sensor(url, { username: "nobody", password: "secret" })).rejects.toMatchObject({ code: 4 });
  await expect(sensor(url, { username: "__proto__", password: "secret" })).rejects.toMatchObject({ code: 4 });
  const pump = await client(url, { username: "pump", password: "secret" });
  await pump.publishAsync("plant/pump/t", "x", { qos: 1 });
  await pump.subscribeAsync("plant/pump/command");
  await expect(pump.subscribeAsync("plant/#")).rejects.toThrow();
  await expect(pump.subscribeAsync("$SYS/#")).rejects.toThrow();
  pump.publish("plant/other/t", "y", { qos: 1 });
  await until("to be thrown out", () => !pump.connected);
  expect(inbox.texts).toEqual(["x"]);
});

it("lets nobody in by a password that everyone on the machine may read, and says what to do", async () => {
  const file = join(directory, "exposed.password");
  writeFileSync(file, "secret\n");
  chmodSync(file, 0o644);
  const users = { pump: { passwordFile: file, publish: ["#"], subscribe: [] } };
  const { log, url } = await started({ users });
  await expect(sensor(url, { username: "pump", password: "secret" })).rejects.toMatchObject({ code: 3 });
  const [line] = log.lines.filter((one) => one.level === "warn");
  expect(line?.fields).toMatchObject({ from: "pump", reason: "passwordFile", err: { hint: `Run: chmod o-r ${file}` } });
  chmodSync(file, 0o600);
  await client(url, { username: "pump", password: "secret" });
});

it("does not stand open on the network unless someone says so", async () => {
  const { bus } = await build({ host: "0.0.0.0" });
  await expect(bus.start(never)).rejects.toMatchObject({ code: "BUS_OPEN_TO_ALL" });
  const { url } = await started({ host: "0.0.0.0", anonymous: true });
  await client(url);
});

it("says who has its port", async () => {
  const port = await freePort();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { bus } = await build({ port });
  await expect(bus.start(never)).rejects.toMatchObject({ code: "BUS_PORT_TAKEN", detail: { port, pid: process.pid } });
  await bus.start(never).catch((error: { hint: string }) => expect(error.hint).toContain("bus.port"));
  server.close();
});

it("takes a packet that is too large to be an event, one at a time, and cuts off a larger one", async () => {
  const { inbox, url } = await started({ maxPacketBytes: 100_000 });
  const one = await client(url);
  await one.publishAsync("plant/1", Buffer.alloc(10_000_000, 65), { qos: 1 });
  expect(inbox.messages[0]?.payload.length).toBe(10_000_000);
  const two = await client(url);
  two.publish("plant/1", Buffer.alloc(20_000_000, 65), { qos: 1 });
  await until("to be cut off", () => !two.connected);
  expect(inbox.messages.length).toBe(1);
});

it("is not taken down by bytes that are no MQTT", async () => {
  const { inbox, url } = await started();
  const { port } = new URL(url);
  for (const bytes of [[0xff, 0xff, 0xff, 0xff, 0xff], [0x10, 0xff, 0xff, 0xff, 0x7f], [0x30, 2, 0, 0], []]) {
    const socket = connectSocket(Number(port), "127.0.0.1");
    socket.on("error", () => {});
    socket.end(Buffer.from(bytes));
    await new Promise((resolve) => socket.once("close", resolve));
  }
  const one = await client(url);
  await one.publishAsync("plant/1", "x", { qos: 1 });
  expect(inbox.texts).toEqual(["x"]);
});

it("hands over the last will of a client that vanished", async () => {
  const { inbox, url } = await started();
  const one = await client(url, { will: { topic: "plant/1", payload: Buffer.from("gone"), qos: 1, retain: false } });
  one.stream.destroy();
  await until("the will", () => inbox.texts.includes("gone"));
});

it("takes no more connections than it may", async () => {
  const { url, log } = await started({ maxConnections: 2 });
  await client(url);
  await client(url);
  const third = connectSocket(Number(new URL(url).port), "127.0.0.1");
  await new Promise((resolve) => third.once("close", resolve));
  expect(log.lines.some((line) => line.fields.reason === "tooManyConnections")).toBe(true);
});
