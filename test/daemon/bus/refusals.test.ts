import { afterEach, expect, it } from "vitest";
import { externalBusSchema } from "../../../config/bus.ts";
import { ExternalBus } from "../../../daemon/bus/external-bus.ts";
import { namedFiles } from "../../../daemon/bus/named-files.ts";
import { systemClock } from "../../../daemon/clock.ts";
import { recordingLog, until } from "../../support/bus.ts";
import { type ScriptedBroker, scriptedBroker } from "../../support/scripted-broker.ts";

let broker: ScriptedBroker | undefined;
let bus: ExternalBus | undefined;

afterEach(async () => {
  await bus?.stop();
  await broker?.close();
});

async function start(answers: readonly (readonly number[] | "hangUp")[], config: Record<string, unknown> = {}) {
  broker = await scriptedBroker(answers);
  const log = recordingLog();
  const deps = {
    clock: systemClock(),
    log,
    files: namedFiles({ baseDirectory: "/nowhere", environment: {} }),
    memory: { read: () => [], write: () => {} },
    random: () => 0,
  };
  bus = new ExternalBus(deps, externalBusSchema.parse({ kind: "external", url: broker.url, ...config }), "test");
  await bus.start(new AbortController().signal);
  return { bus, broker, log };
}

const refusal = (code: number) => [0x20, 3, 0, code, 0];
const welcome5 = [0x20, 3, 0, 0, 0];
const welcome4 = [0x20, 2, 0, 0];

it.each([
  [0x86, "user name or password are wrong"],
  [0x87, "this client is not authorized"],
  [0x88, "it is not available"],
  [0x89, "it is busy"],
  [0x97, "a quota is used up"],
  [0x9f, "connections come too fast"],
  [0xfe, "reason 0xfe"],
])("goes on trying after the refusal 0x%s and says why", async (code, words) => {
  const { bus, broker, log } = await start([refusal(code)]);
  expect(bus.status()).toMatchObject({ connected: false, reason: `The broker refuses: ${words}.` });
  await until("three attempts", () => broker.connects.length >= 3);
  expect(log.lines.filter((line) => line.level === "warn").length).toBe(1);
});

it("is connected when the broker takes it after refusals", async () => {
  const { bus } = await start([refusal(0x89), refusal(0x89), welcome5]);
  await until("the connection", () => bus.status().connected);
  expect(bus.status().reason).toBeUndefined();
});

it.each([
  ["with an MQTT 5 reason", refusal(0x84)],
  ["in the way of MQTT 3.1.1", [0x20, 2, 0, 1]],
])("speaks MQTT 3.1.1 to a broker that refuses MQTT 5 %s", async (_, answer) => {
  const { bus, broker } = await start([answer, welcome4]);
  await until("the connection", () => bus.status().connected);
  expect(broker.connects).toEqual([5, 4]);
});

it("tries MQTT 3.1.1 when the broker keeps hanging up without an answer", async () => {
  const { bus, broker } = await start(["hangUp", "hangUp", "hangUp", welcome4]);
  await until("the connection", () => bus.status().connected);
  expect(broker.connects).toEqual([5, 5, 5, 4]);
});

it("says why the broker hung up on an open connection", async () => {
  const { bus } = await start([[...welcome5, 0xe0, 2, 0x8b, 0]]);
  await until("the end", () => !bus.status().connected && bus.status().reason?.includes("shutting down") === true);
});

it("waits long when another client has its name", async () => {
  const { bus, broker } = await start([[...welcome5, 0xe0, 2, 0x8e, 0]]);
  await until("the end", () => bus.status().reason?.includes("same client id") === true);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(broker.connects.length).toBe(1);
});

it("survives bytes that are no MQTT", async () => {
  const { bus, broker } = await start([[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]);
  await until("another attempt", () => broker.connects.length >= 2);
  expect(bus.status().connected).toBe(false);
});

it("names the password file that it can not read, and goes on trying", async () => {
  const { bus, broker } = await start([welcome5], { username: "gateway", passwordFile: "password" });
  expect(bus.status().reason).toMatch(
    /^A file of the configuration can not be used: .* \(\/nowhere\/password\) Names are/,
  );
  expect(broker.connects).toEqual([]);
});
