import { afterEach, expect, it } from "vitest";
import { externalBusSchema } from "../../../config/bus.ts";
import { ExternalCommandBus } from "../../../daemon/bus/command-external.ts";
import { namedFiles } from "../../../daemon/bus/named-files.ts";
import { systemClock } from "../../../daemon/clock.ts";
import { type AnsweringBroker, answeringBroker } from "../../support/answering-broker.ts";
import { recordingLog, until } from "../../support/bus.ts";
import { command, never, no, yes } from "../../support/commands.ts";

let broker: AnsweringBroker | undefined;
let bus: ExternalCommandBus | undefined;

afterEach(async () => {
  await bus?.stop();
  await broker?.close();
});

async function started(options: Parameters<typeof answeringBroker>[0]) {
  broker = await answeringBroker(options);
  const files = namedFiles({ baseDirectory: "/nowhere", environment: {} });
  const config = externalBusSchema.parse({ kind: "external", url: broker.url, keepaliveSeconds: 5 });
  bus = new ExternalCommandBus({ clock: systemClock(), log: recordingLog(), files, random: () => 0 }, config, "test");
  bus.watch(["plant/+/state"]);
  await bus.start(never);
  return { bus, broker };
}

it.each([
  [0x00, { kind: "acknowledged" }],
  [0x10, { kind: "failed", reason: "noSubscriber", left: true }],
  [0x80, { kind: "failed", reason: "unspecified error", left: true }],
  [0x83, { kind: "failed", reason: "an error of its own", left: true }],
  [0x87, { kind: "failed", reason: "this client is not authorized", left: true, permanent: true }],
  [0x90, { kind: "failed", reason: "it does not take a topic", left: true, permanent: true }],
  [0x97, { kind: "failed", reason: "a quota is used up", left: true }],
  [0x99, { kind: "failed", reason: "the payload is not of the announced format", left: true, permanent: true }],
])("knows what the answer 0x%s means", async (code, sent) => {
  const { bus } = await started({ answers: [code] });
  expect(await bus.publish(command("plant/1/set", "on"), yes, never)).toEqual(sent);
});

it("speaks of nothing but success on MQTT 3.1.1, whose answers say no more", async () => {
  const { bus } = await started({ answers: [0], isOld: true });
  await bus.connected(never);
  expect(await bus.publish(command("plant/1/set", "on"), yes, never)).toEqual({ kind: "acknowledged" });
});

it("does not know what became of a command whose connection ended, and never sends it again", async () => {
  const { bus, broker } = await started({ answers: ["hangUp", 0] });
  const lost = { kind: "unknown", reason: "connectionLost" };
  expect(await bus.publish(command("plant/1/set", "+first"), yes, never)).toEqual(lost);
  expect(await bus.publish(command("plant/1/set", "between"), yes, never)).toEqual({
    kind: "failed",
    reason: "notConnected",
    left: false,
  });
  await bus.connected(never);
  expect(await bus.publish(command("plant/1/set", "second"), yes, never)).toEqual({ kind: "acknowledged" });
  expect(broker.connections.length).toBe(2);
  expect(broker.published.map((body) => body.toString("latin1").slice(-6))).toEqual(["+first", "second"]);
});

it("does not know what became of a command that nobody answers in time", async () => {
  const { bus, broker } = await started({ answers: ["silence", 0] });
  const late = await bus.publish(command("plant/1/set", "x", { timeoutMs: 100 }), yes, never);
  expect(late).toEqual({ kind: "unknown", reason: "noAcknowledgement" });
  expect(bus.isConnected).toBe(true);
  expect(await bus.publish(command("plant/1/set", "y"), yes, never)).toEqual({ kind: "acknowledged" });
  expect(broker.connections.length).toBe(1);
});

it("breaks off a connection on which nobody is there any more", async () => {
  const { bus, broker } = await started({ answers: ["silence"] });
  broker.connections[0]?.pause();
  const late = await bus.publish(command("plant/1/set", "x", { timeoutMs: 100 }), yes, never);
  expect(late).toEqual({ kind: "unknown", reason: "noAcknowledgement" });
  await until("another connection", () => broker.connections.length === 2 && bus.isConnected);
});

it("writes nothing when the gate says no", async () => {
  const { bus, broker } = await started({ answers: [0] });
  const stopped = { kind: "failed", reason: "stopped", left: false };
  expect(await bus.publish(command("plant/1/set", "x"), no, never)).toEqual(stopped);
  const broken = (): boolean => {
    throw new Error("no latch file");
  };
  expect(await bus.publish(command("plant/1/set", "x"), broken, never)).toEqual(stopped);
  await bus.publish(command("plant/1/set", "y"), yes, never);
  expect(broker.published.length).toBe(1);
});

it("writes nothing once its signal is aborted, and does not know what became of what was written", async () => {
  const { bus, broker } = await started({ answers: ["silence"] });
  let asked = 0;
  const gate = (): boolean => {
    asked += 1;
    return true;
  };
  const before = await bus.publish(command("plant/1/set", "x"), gate, AbortSignal.abort());
  expect(before).toEqual({ kind: "failed", reason: "stopped", left: false });
  expect(asked).toBe(0);
  const abort = new AbortController();
  const after = bus.publish(command("plant/1/set", "x"), gate, abort.signal);
  await until("the command", () => broker.published.length === 1);
  abort.abort();
  expect(await after).toEqual({ kind: "unknown", reason: "stopped" });
});

it("keeps to the broker's receive maximum, and asks each gate when its turn has come", async () => {
  const { bus, broker } = await started({ properties: [0x21, 0, 3], answers: [0], delayMs: 20 });
  let most = 0;
  let isStopped = false;
  const gate = (): boolean => {
    most = Math.max(most, broker.unanswered());
    return !isStopped;
  };
  const sent = Array.from({ length: 10 }, (_, at) => bus.publish(command("plant/1/set", String(at)), gate, never));
  // At the very moment at which the first is answered: three have left, and three more may be in the same turn.
  await sent[0];
  isStopped = true;
  const kinds = (await Promise.all(sent)).map((one) => one.kind);
  expect(most).toBeLessThanOrEqual(3);
  expect(broker.published.length).toBeGreaterThanOrEqual(3);
  expect(kinds.filter((kind) => kind === "acknowledged").length).toBe(broker.published.length);
  expect(kinds.at(-1)).toBe("failed");
});

it("says that it is busy when a turn does not come in time, or too many wait already", async () => {
  const { bus, broker } = await started({ properties: [0x21, 0, 1], answers: ["silence"] });
  const abort = new AbortController();
  const busy = { kind: "failed", reason: "busy", left: false };
  const first = bus.publish(command("plant/1/set", "first"), yes, abort.signal);
  expect(await bus.publish(command("plant/1/set", "x", { timeoutMs: 50 }), yes, abort.signal)).toEqual(busy);
  const waiting = Array.from({ length: 1_000 }, () => bus.publish(command("plant/1/set", "x"), yes, abort.signal));
  expect(await bus.publish(command("plant/1/set", "x"), yes, abort.signal)).toEqual(busy);
  abort.abort();
  const stopped = { kind: "failed", reason: "stopped", left: false };
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => stopped));
  expect(await first).toEqual({ kind: "unknown", reason: "stopped" });
  expect(broker.published.length).toBe(1);
});

it("makes a new connection when all that may be unanswered is, and nobody waits for it any more", async () => {
  const { bus, broker } = await started({ properties: [0x21, 0, 1], answers: ["silence", 0] });
  await bus.publish(command("plant/1/set", "x", { timeoutMs: 50 }), yes, never);
  await until("another connection", () => broker.connections.length === 2 && bus.isConnected);
  expect(await bus.publish(command("plant/1/set", "y"), yes, never)).toEqual({ kind: "acknowledged" });
});

it.each([
  ["for what the broker takes", { payload: Buffer.alloc(1_000) }, "tooLarge"],
  ["to have wildcards", { topic: "plant/+/set" }, "topic"],
  ["to be empty", { topic: "" }, "topic"],
  ["to be the broker's own", { topic: "$SYS/broker" }, "topic"],
  ["to be text", { topic: "plant/\ud800" }, "topic"],
  ["to have long properties", { properties: { a: "x".repeat(70_000) } }, "properties"],
])("does not write what is not fit %s", async (_, more, reason) => {
  const { bus, broker } = await started({ properties: [0x27, 0, 0, 2, 0], answers: [0] });
  const sent = await bus.publish(command("plant/1/set", "x", more), yes, never);
  expect(sent).toEqual({ kind: "failed", reason, left: false, permanent: true });
  expect(await bus.publish(command("plant/1/set", "y"), yes, never)).toEqual({ kind: "acknowledged" });
  expect(broker.published.length).toBe(1);
});

it("sends exactly as large a packet as the broker takes, and none that is larger by a byte", async () => {
  const { bus } = await started({ properties: [0x27, 0, 0, 2, 0], answers: [0] });
  const properties = { "idempotency-key": "é" };
  const sizes = Array.from({ length: 120 }, (_, at) => 400 + at);
  const sent = await Promise.all(
    sizes.map((size) => bus.publish(command("plant/1/set", "x".repeat(size), { properties }), yes, never)),
  );
  const largest = sizes.filter((_, at) => sent[at]?.kind === "acknowledged").at(-1) ?? 0;
  // Header 1 and 2, topic 13, packet id 2, length of properties 1, expiry 5, user property 5 + 15 + 2.
  expect(largest).toBe(512 - 46);
});

it("is drained when all is answered, and breaks off what is not", async () => {
  const { bus, broker } = await started({ answers: [0, "silence"] });
  await bus.publish(command("plant/1/set", "x"), yes, never);
  await bus.drained();
  expect(bus.isConnected).toBe(true);
  const open = bus.publish(command("plant/1/set", "y"), yes, never);
  await until("the command", () => broker.published.length === 2);
  await bus.drained();
  expect(await open).toEqual({ kind: "unknown", reason: "connectionLost" });
  expect(bus.isConnected).toBe(false);
});

it("is drained although commands go on", async () => {
  const { bus } = await started({ answers: [0], delayMs: 3 });
  let isDone = false;
  const going = (async () => {
    while (!isDone) await Promise.all([1, 2, 3, 4].map(() => bus.publish(command("plant/1/set", "x"), yes, never)));
  })();
  await bus.drained();
  isDone = true;
  await going;
  expect(bus.isConnected).toBe(true);
});

it("lets nothing out of its buffers after it is drained", async () => {
  const { bus, broker } = await started({ answers: ["silence"] });
  broker.connections[0]?.pause();
  // More than the buffers of both kernels hold, so that some of it waits in ours.
  const payload = Buffer.alloc(30_000_000, 65);
  const open = bus.publish(command("plant/1/set", "", { payload }), yes, never);
  await bus.drained();
  expect((await open).kind).toBe("unknown");
  broker.connections[0]?.resume();
  await until("another connection", () => broker.connections.length === 2 && bus.isConnected);
  expect(broker.published.length).toBe(0);
});

it("refuses at once while it stops, and waits for the answer to what is under way", async () => {
  const { bus } = await started({ answers: [0], delayMs: 100 });
  const open = bus.publish(command("plant/1/set", "x"), yes, never);
  const stopped = bus.stop();
  const refused = { kind: "failed", reason: "notConnected", left: false };
  expect(await bus.publish(command("plant/1/set", "y"), yes, never)).toEqual(refused);
  expect(await open).toEqual({ kind: "acknowledged" });
  await stopped;
  expect(bus.isConnected).toBe(false);
});
