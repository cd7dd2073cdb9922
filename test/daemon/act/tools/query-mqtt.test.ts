import { describe, expect, test } from "vitest";
import { type ToolConfig, toolSchema } from "../../../../config/tools.ts";
import type { BusCommand, Sent } from "../../../../daemon/act/tool.ts";
import { createMqttQuery } from "../../../../daemon/act/tools/query-mqtt.ts";

type Query = Extract<ToolConfig, { kind: "query" }>;
const base = { kind: "query", topic: "plant/{pump}/get", replyTopic: "plant/{pump}/got", payload: { want: "{what}" } };

/** A query with a bus of the test's own. */
function queryOf(over: object = {}, sent: Sent = { kind: "acknowledged" }, mayLeave = true) {
  const published: BusCommand[] = [];
  let ids = 0;
  const query = createMqttQuery(toolSchema.parse({ ...base, ...over }) as Query, {
    publish: async (command, gate) => {
      if (!gate()) return { kind: "failed", left: false, reason: "stopped" };
      published.push(command);
      return sent;
    },
    newId: () => `id-${++ids}`,
    mayLeave: () => mayLeave,
  });
  const stop = new AbortController();
  const ask = (pump = "p1") => query.ask({ pump, what: "state" }, 2000, stop.signal);
  const hear = (topic: string, value: unknown, retained = false) =>
    query.heard({ topic, payload: Buffer.from(typeof value === "string" ? value : JSON.stringify(value)), retained });
  return { query, published, ask, hear, stop };
}

describe("a question on the bus", () => {
  test("is sent with an id, and answered by the first message that says the same", async () => {
    const { query, published, ask, hear } = queryOf();
    const asked = ask();
    expect(query.filter).toBe("plant/+/got");
    expect(published).toEqual([
      {
        topic: "plant/p1/get",
        payload: Buffer.from('{"want":"state","_id":"id-1"}'),
        timeoutMs: 2000,
        expirySeconds: 2,
        properties: {},
        responseTopic: "plant/p1/got",
      },
    ]);
    hear("plant/p1/got", { _id: "id-0", running: false });
    hear("plant/p1/got", "not JSON");
    hear("plant/p1/got", ["id-1"]);
    hear("plant/p2/got", { _id: "id-1", running: false });
    hear("plant/p1/got", { _id: "id-1", running: false }, true);
    hear("plant/p1/got", { _id: "id-1", running: true });
    hear("plant/p1/got", { _id: "id-1", running: false });
    expect(await asked).toEqual({ ok: true, value: { running: true }, text: '{"running":true}' });
  });

  test("is told apart from others on the same topic", async () => {
    const { ask, hear } = queryOf({ replyTopic: "got" });
    const both = [ask("p1"), ask("p2")];
    hear("got", { _id: "id-2", n: 2 });
    hear("got", { _id: "id-1", n: 1 });
    expect((await Promise.all(both)).map((one) => one.ok && one.value)).toEqual([{ n: 1 }, { n: 2 }]);
  });

  test("may be answered by whatever comes next, where that is said", async () => {
    const { ask, hear } = queryOf({ correlate: false });
    const asked = ask();
    hear("plant/p1/got", "21.5", true);
    hear("plant/p1/got", "22.5");
    expect(await asked).toEqual({ ok: true, value: 22.5, text: "22.5" });
    const odd = ask();
    hear("plant/p1/got", "on");
    expect(await odd).toMatchObject({ ok: false, reason: "invalidAnswer" });
  });

  test("ends when the bus refuses it, when it is broken off, and when its topic can not be made", async () => {
    const failed = (reason: string): Sent => ({ kind: "failed", left: false, reason });
    expect(await queryOf({}, failed("notConnected")).ask()).toEqual({ ok: false, reason: "notConnected" });
    expect(await queryOf({}, failed("noSubscriber")).ask()).toEqual({
      ok: false,
      reason: "unreachable",
      detail: "noSubscriber",
    });
    expect(await queryOf().ask("a/b")).toMatchObject({ ok: false, reason: "argument" });
    const { ask, stop, hear } = queryOf();
    const asked = ask();
    stop.abort();
    expect(await asked).toEqual({ ok: false, reason: "stopped" });
    hear("plant/p1/got", { _id: "id-1" });
  });

  test("waits on where nobody knows whether it arrived", async () => {
    const { ask, hear } = queryOf({}, { kind: "unknown", reason: "timeout" });
    const asked = ask();
    await Promise.resolve();
    hear("plant/p1/got", { _id: "id-1", n: 1 });
    expect(await asked).toMatchObject({ ok: true });
  });

  test("does not leave when it may not", async () => {
    const { ask, published } = queryOf({}, { kind: "acknowledged" }, false);
    expect(await ask()).toEqual({ ok: false, reason: "stopped" });
    expect(published).toEqual([]);
  });

  test("has no answer in what is too large for a rule", async () => {
    const { ask, hear } = queryOf();
    for (const [at, value] of [
      "x".repeat(4100),
      Array.from({ length: 257 }, () => 0),
      JSON.parse("[".repeat(9) + "]".repeat(9)),
    ].entries()) {
      const asked = ask();
      hear("plant/p1/got", { _id: `id-${at + 1}`, value });
      expect(await asked).toMatchObject({ ok: false, reason: "tooLarge" });
    }
    const asked = ask();
    hear("plant/p1/got", '{"_id":"id-4","__proto__":{"a":1}}');
    expect(await asked).toMatchObject({ ok: false, reason: "invalidAnswer" });
    const endless = ask();
    hear("plant/p1/got", '{"_id":"id-5","n":1e999}');
    expect(await endless).toMatchObject({ ok: false, reason: "tooLarge" });
  });
});
