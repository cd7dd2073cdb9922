import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Sending, sendCommand } from "../../../fleet/command/sending.ts";
import { freePort } from "../../../scripts/trial/daemon.ts";
import { gatewayTopics } from "../../../sync/topics.ts";
import { type AnsweringBroker, answeringBroker } from "../../support/answering-broker.ts";
import { until } from "../../support/bus.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";

const ID = "01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e";
const OTHER = "01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5f";
const topics = gatewayTopics("north", "plant-7");
const NOBODY_LISTENS = 0x10;
const NOT_AUTHORIZED = 0x87;

const result = (more: object = {}): string =>
  JSON.stringify({ v: 1, kind: "commandResult", id: ID, state: "done", at: 1, ...more });
const state = (what: string): string =>
  JSON.stringify({ v: 1, kind: "state", state: what, session: "00112233445566aa", software: "0.1.0", at: 1 });

/** Sends to these brokers; `stop` ends it, and `waits` counts how often it was told that nobody listens. */
function sent(brokers: readonly string[], more: Partial<Sending> = {}) {
  const stop = new AbortController();
  const told = { waits: 0 };
  const nothing = () => undefined;
  const files = { ca: nothing, certificate: nothing, key: nothing, password: nothing };
  const done = sendCommand(
    { files, nowMs: () => Date.now(), waits: () => void told.waits++, stop: stop.signal },
    {
      ...{ brokers, username: undefined, serverName: undefined, clientId: "command-1", topics, id: ID },
      ...{ text: "the command", expiresAt: Date.now() + 60_000, lateMs: 1000, ...more },
    },
  );
  return { done, told, stop: () => stop.abort() };
}

describeWithMosquitto("a command on its way", () => {
  let broker: Mosquitto;
  let gateway: MqttClient;
  let heard: { payload: string; expiry: number | undefined; retain: boolean }[] = [];

  beforeEach(async () => {
    broker = await startMosquitto();
    heard = [];
    gateway = await connectAsync(broker.url, { protocolVersion: 5, reconnectPeriod: 0 });
    gateway.on("message", (topic, payload, { properties, retain }) => {
      if (topic !== topics.command) return;
      heard.push({ payload: payload.toString(), expiry: properties?.messageExpiryInterval, retain });
    });
  });

  afterEach(async () => {
    await gateway.endAsync(true);
    await broker.remove();
  });

  const listen = () => gateway.subscribeAsync(topics.command, { qos: 1 });
  const say = (topic: string, payload: string, retain = false) =>
    gateway.publishAsync(topic, payload, { qos: 1, retain });

  test("comes once, with an expiry and not to be kept, and its own result is the answer", async () => {
    await listen();
    const { done, told } = sent([broker.url], { expiresAt: Date.now() + 30_000 });
    await until("the command", () => heard.length > 0);
    await say(topics.report("command"), "no JSON");
    await say(topics.report("command"), result({ id: OTHER }));
    await say(topics.report("command"), result({ state: "refused", reason: "expired" }));
    expect(await done).toMatchObject({ id: ID, state: "refused", reason: "expired" });
    expect(heard).toEqual([{ payload: "the command", expiry: expect.any(Number), retain: false }]);
    expect(heard[0]?.expiry).toBeGreaterThan(25);
    expect(heard[0]?.expiry).toBeLessThanOrEqual(30);
    expect(told.waits).toBe(0);
  });

  test("waits for a gateway that is away, and is sent when it says that it is there", async () => {
    await say(topics.state, state("lost"), true);
    const { done, told } = sent([broker.url]);
    await until("nobody listens", () => told.waits > 0);
    await listen();
    await say(topics.state, state("ready"), true);
    await until("the command", () => heard.length > 0);
    await say(topics.report("command"), result());
    expect(await done).toMatchObject({ state: "done" });
    expect(heard).toHaveLength(1);
  });

  test("is not sent again for what the broker kept of a gateway that has it already", async () => {
    await say(topics.state, state("ready"), true);
    await listen();
    const { done } = sent([broker.url]);
    await until("the command", () => heard.length > 0);
    // All that the broker had for the sender came before this.
    await say(topics.report("command"), result());
    await done;
    expect(heard).toHaveLength(1);
  });

  test("is given up a while after it does not count any more, and not before", async () => {
    await listen();
    const from = Date.now();
    const { done } = sent([broker.url], { expiresAt: from + 500, lateMs: 500 });
    expect(await done).toBeUndefined();
    expect(Date.now() - from).toBeGreaterThanOrEqual(990);
    expect(Date.now() - from).toBeLessThan(8000);
    expect(heard).toHaveLength(1);
  });

  test("is not sent once it does not count", async () => {
    await listen();
    const { done } = sent([broker.url], { expiresAt: Date.now() - 1, lateMs: 300 });
    expect(await done).toBeUndefined();
    expect(heard).toEqual([]);
  });

  test("is given up at once when whoever sends it stops", async () => {
    await listen();
    const { done, stop } = sent([broker.url]);
    await until("the command", () => heard.length > 0);
    stop();
    expect(await done).toBeUndefined();
  });

  test("takes the next broker where one is away", async () => {
    await listen();
    const { done } = sent([`mqtt://127.0.0.1:${await freePort()}`, broker.url]);
    await until("the command", () => heard.length > 0);
    await say(topics.report("command"), result());
    expect(await done).toMatchObject({ state: "done" });
  });
});

let answering: AnsweringBroker | undefined;
afterEach(async () => {
  await answering?.close();
  answering = undefined;
});

test("a broker that is not to be reached, and one that lets nobody command, are errors with their reasons", async () => {
  answering = await answeringBroker({ answers: [NOT_AUTHORIZED] });
  const nowhere = `mqtt://127.0.0.1:${await freePort()}`;
  await expect(sent([nowhere, answering.url]).done).rejects.toMatchObject({
    code: "FLEET_BROKER",
    detail: {
      unused: [
        { broker: nowhere, why: expect.stringContaining("nothing listens") },
        { broker: answering.url, why: expect.stringContaining(`refuses what is published on ${topics.command}`) },
      ],
    },
  });
});

test("a broker that has taken it and goes away is connected to again while it counts", async () => {
  answering = await answeringBroker({ answers: [NOBODY_LISTENS, NOBODY_LISTENS] });
  const { done, told, stop } = sent([answering.url]);
  await until("the first", () => told.waits === 1);
  answering.connections[0]?.destroy();
  await until("the second", () => told.waits === 2);
  expect(answering.published).toHaveLength(2);
  stop();
  expect(await done).toBeUndefined();
});
