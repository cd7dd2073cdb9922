import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IPublishPacket, MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, it } from "vitest";
import { externalBusSchema } from "../../../config/bus.ts";
import type { BusReading } from "../../../daemon/act/tool.ts";
import { ExternalCommandBus } from "../../../daemon/bus/command-external.ts";
import { namedFiles } from "../../../daemon/bus/named-files.ts";
import { systemClock } from "../../../daemon/clock.ts";
import { recordingLog, sensor, until } from "../../support/bus.ts";
import { command, never, yes } from "../../support/commands.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";

const directory = mkdtempSync(join(tmpdir(), "command-bus-"));

describeWithMosquitto("commands through mosquitto", () => {
  let broker: Mosquitto;
  const parts: ExternalCommandBus[] = [];
  const clients: MqttClient[] = [];

  beforeEach(async () => {
    broker = await startMosquitto();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.end(true);
    for (const part of parts.splice(0)) await part.stop();
    await broker.remove();
  });

  function build(url = broker.url, more: Record<string, unknown> = {}) {
    const log = recordingLog();
    const files = namedFiles({ baseDirectory: directory, environment: {} });
    const config = externalBusSchema.parse({ kind: "external", url, ...more });
    const bus = new ExternalCommandBus({ clock: systemClock(), log, files, random: () => 0 }, config, "test");
    const readings: BusReading[] = [];
    bus.onReading = (reading) => readings.push(reading);
    bus.watch(["plant/+/state", "plant/1/state", "plant/1/#"]);
    parts.push(bus);
    return { bus, log, readings };
  }

  async function started() {
    const built = build();
    await built.bus.start(never);
    return built;
  }

  async function client(options: Record<string, unknown> = {}): Promise<MqttClient> {
    const one = await sensor(broker.url, { protocolVersion: 5, ...options });
    one.on("error", () => {});
    clients.push(one);
    return one;
  }

  async function device(filter: string, options: Record<string, unknown> = {}) {
    const one = await client(options);
    const got: IPublishPacket[] = [];
    one.on("message", (_topic, _payload, packet) => got.push(packet));
    await one.subscribeAsync(filter, { qos: 1 });
    return { client: one, got };
  }

  it("hands a subscriber the command with its expiry, its properties and where to reply", async () => {
    const { bus } = await started();
    expect(bus.isConnected).toBe(true);
    const { got } = await device("plant/+/set");
    const more = { properties: { "idempotency-key": "k1" }, responseTopic: "plant/1/reply", expirySeconds: 7.9 };
    const sent = await bus.publish(command("plant/1/set", "on", more), yes, never);
    expect(sent).toEqual({ kind: "acknowledged" });
    await until("the command", () => got.length === 1);
    expect(got[0]).toMatchObject({ topic: "plant/1/set", qos: 1, retain: false, dup: false });
    expect(got[0]?.payload.toString()).toBe("on");
    expect(got[0]?.properties).toMatchObject({ messageExpiryInterval: 7, responseTopic: "plant/1/reply" });
    expect({ ...got[0]?.properties?.userProperties }).toEqual({ "idempotency-key": "k1" });
  });

  it("says that nobody has subscribed", async () => {
    const { bus } = await started();
    const sent = await bus.publish(command("plant/9/set", "on"), yes, never);
    expect(sent).toEqual({ kind: "failed", reason: "noSubscriber", left: true });
  });

  it("hands over readings, flags those that the broker had stored, and takes no command of its own for one", async () => {
    const one = await client();
    await one.publishAsync("plant/1/state", "old", { qos: 1, retain: true });
    const { bus, readings } = await started();
    await one.publishAsync("plant/1/state", "new", { qos: 1, retain: true });
    await one.publishAsync("other/1/state", "unwatched", { qos: 1 });
    await device("plant/1/set");
    expect((await bus.publish(command("plant/1/set", "on"), yes, never)).kind).toBe("acknowledged");
    await one.publishAsync("plant/2/state", "last", { qos: 0 });
    await until("the last", () => readings.some(({ payload }) => payload.toString() === "last"));
    const told = readings.map(({ topic, payload, retained }) => `${topic} ${payload} ${retained}`);
    // Filters that overlap may bring one twice.
    expect([...new Set(told)]).toEqual([
      "plant/1/state old true",
      "plant/1/state new false",
      "plant/2/state last false",
    ]);
  });

  it("queues nothing while the broker is away, sends nothing again, and watches again when it is back", async () => {
    const { bus, readings } = await started();
    const session = { clientId: "valve", clean: false, properties: { sessionExpiryInterval: 1_000 } };
    await device("plant/1/set", session);
    await broker.stop("SIGKILL");
    await until("to notice", () => !bus.isConnected);
    const sent = await Promise.all([1, 2, 3].map((at) => bus.publish(command("plant/1/set", `${at}`), yes, never)));
    const refused = { kind: "failed", reason: "notConnected", left: false };
    expect(sent).toEqual([refused, refused, refused]);
    expect(bus.reason).toMatch(/broker/);
    await broker.start();
    await bus.connected(never);
    expect(bus.reason).toBeUndefined();
    const back = await device("plant/1/set");
    await bus.publish(command("plant/1/set", "now"), yes, never);
    await until("the command", () => back.got.length === 1);
    expect(back.got[0]?.payload.toString()).toBe("now");
    await back.client.publishAsync("plant/1/state", "seen", { qos: 1 });
    await until("the reading", () => readings.length > 0);
  });

  it("does not know what became of commands that were on the way when the broker was killed", async () => {
    const { bus } = await started();
    const sent = Array.from({ length: 500 }, (_, at) => bus.publish(command("plant/9/set", `${at}`), yes, never));
    await sent[0];
    await broker.stop("SIGKILL");
    const all = await Promise.all(sent);
    for (const one of all) {
      const isKnown = one.kind === "failed" && (one.reason === "noSubscriber" || !one.left);
      expect(isKnown || (one.kind === "unknown" && one.reason === "connectionLost")).toBe(true);
    }
    expect(all.some((one) => one.kind === "unknown" || (one.kind === "failed" && !one.left))).toBe(true);
  });

  it("is connected when the broker comes, and does not wait for it at the start", async () => {
    await broker.stop();
    const { bus, log } = await started();
    expect(bus.isConnected).toBe(false);
    const aborted = new AbortController();
    const given = bus.connected(aborted.signal);
    aborted.abort();
    await given;
    expect(bus.isConnected).toBe(false);
    await broker.start();
    await bus.connected(never);
    expect(bus.isConnected).toBe(true);
    expect(log.lines.filter((line) => line.level === "warn").length).toBe(1);
  });

  it("sends a command at once that comes while others are on the way, 5,000 in all", async () => {
    const { bus } = await started();
    const { got } = await device("plant/1/set");
    const sent = [];
    for (let at = 0; at < 5_000; at += 1) {
      sent.push(bus.publish(command("plant/1/set", `${at}`), yes, never));
      if (at % 500 === 499) await Promise.all(sent);
    }
    expect((await Promise.all(sent)).every((one) => one.kind === "acknowledged")).toBe(true);
    await until("all of them", () => got.length === 5_000);
    expect(got.map(({ payload }) => Number(payload))).toEqual(got.map((_, at) => at));
  });

  it("logs in with a password that is read again for each attempt, and is told what it may not send", async () => {
    const at = (name: string): string => join(directory, name);
    writeFileSync(at("users"), "");
    spawnSync("mosquitto_passwd", ["-b", at("users"), "gateway", "right"]);
    writeFileSync(at("acl"), "user gateway\ntopic readwrite plant/#\n");
    const access = [`password_file ${at("users")}`, `acl_file ${at("acl")}`];
    const guarded = await startMosquitto(access, { anonymous: false });
    writeFileSync(at("password"), "wrong\n", { mode: 0o600 });
    const { bus } = build(guarded.url, { username: "gateway", passwordFile: "password" });
    await bus.start(never);
    expect(bus.reason).toMatch(/not authorized|password/);
    writeFileSync(at("password"), "right\n");
    await bus.connected(never);
    const sent = await bus.publish(command("elsewhere/set", "on"), yes, never);
    expect(sent).toMatchObject({ kind: "failed", left: true, permanent: true });
    await guarded.remove();
  });
});
