import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { externalBusSchema } from "../../../config/bus.ts";
import type { Subscription } from "../../../daemon/bus/bus.ts";
import { ExternalBus } from "../../../daemon/bus/external-bus.ts";
import { namedFiles } from "../../../daemon/bus/named-files.ts";
import { fileSessionMemory } from "../../../daemon/bus/session-memory.ts";
import { systemClock } from "../../../daemon/clock.ts";
import { Inbox, recordingLog, sensor, until } from "../../support/bus.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";

const all: Subscription = { filter: "plant/#", qos: 1, retained: false };
const directory = mkdtempSync(join(tmpdir(), "bus-"));

function build(broker: Mosquitto, config: Record<string, unknown> = {}, wanted: readonly Subscription[] = [all]) {
  const log = recordingLog();
  const deps = {
    clock: systemClock(),
    log,
    files: namedFiles({ baseDirectory: directory, environment: {} }),
    memory: fileSessionMemory(join(broker.directory, "bus-session.json")),
    random: () => 0,
  };
  const bus = new ExternalBus(deps, externalBusSchema.parse({ kind: "external", url: broker.url, ...config }), "test");
  bus.subscribe(wanted);
  return { bus, log };
}

const never = new AbortController().signal;

describeWithMosquitto("the LAN bus as a client of mosquitto", () => {
  let broker: Mosquitto;
  const open: { stop(): Promise<void> }[] = [];

  beforeEach(async () => {
    broker = await startMosquitto(["max_inflight_messages 0"]);
  });

  afterEach(async () => {
    for (const bus of open.splice(0)) await bus.stop();
    await broker.remove();
  });

  async function started(
    config: Record<string, unknown> = {},
    releasesAtOnce = true,
    wanted: readonly Subscription[] = [all],
  ) {
    const { bus, log } = build(broker, config, wanted);
    const inbox = new Inbox(bus, releasesAtOnce);
    await bus.start(never);
    open.push(bus);
    return { bus, log, inbox };
  }

  it("hands over messages and is connected when the start is done", async () => {
    const { bus, inbox } = await started();
    expect(bus.status()).toMatchObject({ kind: "external", connected: true, reason: undefined });
    const client = await sensor(broker.url);
    await client.publishAsync("plant/1", "a", { qos: 1 });
    await client.publishAsync("plant/2", "b", { qos: 0 });
    await until("both messages", () => inbox.messages.length === 2);
    expect(inbox.messages.map(({ topic, qos, retain }) => ({ topic, qos, retain }))).toEqual([
      { topic: "plant/1", qos: 1, retain: false },
      { topic: "plant/2", qos: 0, retain: false },
    ]);
    expect(inbox.messages[1]?.receipt).toBeUndefined();
    await client.endAsync(true);
  });

  it("gets again what was not acknowledged, after the daemon died, and not what was", async () => {
    const first = await started({}, false);
    const client = await sensor(broker.url);
    for (const text of ["a", "b", "c", "d"]) await client.publishAsync("plant/1", text, { qos: 1 });
    await until("four messages", () => first.inbox.messages.length === 4);
    first.inbox.messages[0]?.receipt?.release();
    // Out of order: "c" waits for "b".
    first.inbox.messages[2]?.receipt?.release();
    expect(first.bus.status().heldAcknowledgements).toBe(3);
    await first.bus.stop();
    open.length = 0;
    const second = await started();
    await until("the unacknowledged ones", () => second.inbox.messages.length === 3);
    expect(second.inbox.texts).toEqual(["b", "c", "d"]);
    expect(second.inbox.messages.every((message) => message.duplicate)).toBe(true);
    await client.endAsync(true);
  });

  it("reads no more while too many are unacknowledged, loses none, and stays alive meanwhile", async () => {
    const { bus, inbox } = await started({ maxUnacknowledged: 10, keepaliveSeconds: 5 }, false);
    const client = await sensor(broker.url);
    const sent = Array.from({ length: 500 }, (_, at) => String(at));
    await Promise.all(sent.map((text) => client.publishAsync("plant/1", text, { qos: 1 })));
    await until("the bound", () => bus.status().heldAcknowledgements === 10);
    await new Promise((resolve) => setTimeout(resolve, 9_000));
    expect(inbox.messages.length).toBe(10);
    expect(bus.status()).toMatchObject({ connected: true, heldAcknowledgements: 10 });
    inbox.releasesAtOnce = true;
    inbox.releaseAll();
    await until("the rest", () => inbox.messages.length === 500);
    expect(inbox.texts).toEqual(sent);
    await client.endAsync(true);
  });

  it("stands still while paused and goes on where it stood", async () => {
    const { bus, inbox } = await started();
    const client = await sensor(broker.url);
    bus.pause();
    for (let at = 0; at < 50; at += 1) client.publish("plant/1", String(at), { qos: at % 2 === 0 ? 0 : 1 });
    await until("the first", () => inbox.messages.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(inbox.messages.length).toBe(1);
    bus.resume();
    await until("all", () => inbox.messages.length === 50);
    await client.endAsync(true);
  });

  it("connects again when the broker comes back, with what was queued, and says each reason once", async () => {
    const { bus, log, inbox } = await started();
    await broker.stop();
    await until("to notice", () => !bus.status().connected);
    await until("a reason", () => bus.status().reason?.includes("nothing listens") === true);
    await until("several attempts", () => log.lines.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const warnings = log.lines.filter((line) => line.level === "warn").map((line) => line.fields.reason);
    expect(new Set(warnings).size).toBe(warnings.length);
    await broker.start();
    await until("the connection", () => bus.status().connected);
    expect(bus.status().reason).toBeUndefined();
    const client = await sensor(broker.url);
    await client.publishAsync("plant/1", "again", { qos: 1 });
    await until("the message", () => inbox.messages.length === 1);
    await client.endAsync(true);
  });

  it("leaves out messages that the broker had stored, unless they are wanted, and not twice", async () => {
    const client = await sensor(broker.url);
    await client.publishAsync("plant/1", "old", { qos: 1, retain: true });
    const without = await started({ clientId: "without" });
    const withStored = await started({ clientId: "with" }, true, [{ ...all, retained: true }]);
    await client.publishAsync("plant/1", "live", { qos: 1, retain: true });
    await until("the messages", () => without.inbox.messages.length === 1 && withStored.inbox.messages.length === 2);
    expect(without.inbox.messages.map((message) => [message.payload.toString(), message.retain])).toEqual([
      ["live", false],
    ]);
    expect(withStored.inbox.messages.map((message) => [message.payload.toString(), message.retain])).toEqual([
      ["old", true],
      ["live", false],
    ]);
    await client.endAsync(true);
  });

  it("takes one copy of a message that overlapping subscriptions match", async () => {
    const wanted = ["plant/+/t", "plant/a/+", "plant/a/t", "other/#"].map((filter) => ({ ...all, filter }));
    const { bus, inbox } = await started({}, true, wanted);
    const client = await sensor(broker.url);
    for (let at = 0; at < 20; at += 1) await client.publishAsync("plant/a/t", String(at), { qos: 1 });
    for (const topic of ["plant/b/t", "plant/a/x", "other/y"]) await client.publishAsync(topic, topic, { qos: 1 });
    await until("the last", () => inbox.texts.includes("other/y"));
    expect(inbox.messages.length).toBe(23);
    expect(bus.status().copies + inbox.messages.length).toBeGreaterThanOrEqual(23);
    await client.endAsync(true);
  });

  it("takes back what an earlier configuration subscribed to", async () => {
    const first = await started({}, true, [all, { ...all, filter: "old/#" }]);
    await first.bus.stop();
    open.length = 0;
    const second = await started({}, true, [all]);
    const client = await sensor(broker.url);
    await client.publishAsync("old/1", "x", { qos: 1 });
    await client.publishAsync("plant/1", "y", { qos: 1 });
    await until("the message", () => second.inbox.messages.length > 0);
    expect(second.inbox.texts).toEqual(["y"]);
    second.bus.subscribe([{ ...all, filter: "new/#" }]);
    await until("the new subscription", () => {
      client.publish("new/1", "z", { qos: 1 });
      return second.inbox.texts.includes("z");
    });
    await client.publishAsync("plant/1", "gone", { qos: 1 });
    await client.publishAsync("new/1", "last", { qos: 1 });
    await until("the last", () => second.inbox.texts.includes("last"));
    expect(second.inbox.texts).not.toContain("gone");
    await client.endAsync(true);
  });

  it("hands over a message that is too large for an event, so that it can be counted", async () => {
    const { bus, inbox } = await started({ maxPacketBytes: 100_000 });
    const client = await sensor(broker.url);
    await client.publishAsync("plant/1", Buffer.alloc(10_000_000, 65), { qos: 1 });
    await client.publishAsync("plant/1", Buffer.alloc(20_000_000, 65), { qos: 1 });
    await client.publishAsync("plant/1", "after", { qos: 1 });
    await until("the one after", () => inbox.messages.at(-1)?.payload.length === 5);
    // What is over 16 MiB the broker keeps from us: nobody here ever sees it.
    expect(inbox.messages.map((message) => message.payload.length)).toEqual([10_000_000, 5]);
    expect(bus.status()).toMatchObject({ connected: true, heldAcknowledgements: 0 });
    await client.endAsync(true);
  });

  it("hands over a trace context", async () => {
    const { inbox } = await started();
    const client = await sensor(broker.url, { protocolVersion: 5 });
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    await client.publishAsync("plant/1", "a", { qos: 1, properties: { userProperties: { traceparent } } });
    await client.publishAsync("plant/1", "a", { qos: 1, properties: { userProperties: { traceparent: "nonsense" } } });
    await until("both", () => inbox.messages.length === 2);
    expect(inbox.messages.map((message) => message.traceparent)).toEqual([traceparent, undefined]);
    await client.endAsync(true);
  });

  it("gets again what was on the way when the connection broke, and ignores receipts of the old connection", async () => {
    const { bus, inbox } = await started({}, false);
    const client = await sensor(broker.url);
    for (const text of ["a", "b"]) await client.publishAsync("plant/1", text, { qos: 1 });
    await until("both", () => inbox.messages.length === 2);
    await broker.stop();
    await until("to notice", () => !bus.status().connected);
    expect(bus.status().heldAcknowledgements).toBe(0);
    inbox.releaseAll();
    await broker.start();
    await until("both again", () => inbox.messages.length === 4);
    expect(bus.status().heldAcknowledgements).toBe(2);
    inbox.releaseAll();
    await until("the acknowledgements", () => bus.status().heldAcknowledgements === 0);
    await client.endAsync(true);
  });

  it("says that the password is wrong and uses the corrected one without a restart", async () => {
    const users = join(directory, "users");
    writeFileSync(users, "");
    spawnSync("mosquitto_passwd", ["-b", users, "gateway", "right"]);
    const guarded = await startMosquitto([`password_file ${users}`], { anonymous: false });
    const passwordFile = join(directory, "password");
    writeFileSync(passwordFile, "wrong\n", { mode: 0o600 });
    const { bus } = build(guarded, { username: "gateway", passwordFile });
    open.push(bus);
    const inbox = new Inbox(bus);
    await bus.start(never);
    expect(bus.status()).toMatchObject({ connected: false });
    expect(bus.status().reason).toMatch(/not authorized|password/);
    writeFileSync(passwordFile, "right\n");
    await until("the connection", () => bus.status().connected);
    const client = await sensor(guarded.url, { username: "gateway", password: "right" });
    await client.publishAsync("plant/1", "a", { qos: 1 });
    await until("the message", () => inbox.messages.length === 1);
    await client.endAsync(true);
    await guarded.remove();
  });
});
