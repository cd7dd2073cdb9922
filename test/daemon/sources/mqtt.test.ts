import { expect, it } from "vitest";
import { mqttSourceSchema } from "../../../config/agents.ts";
import type { BusMessage } from "../../../daemon/bus/bus.ts";
import { type EventSink, type MqttBinding, MqttSources } from "../../../daemon/sources/mqtt.ts";
import type { Parsed } from "../../../daemon/sources/payload.ts";

class Agent implements EventSink {
  readonly taken: { source: number; parsed: Parsed; settled: { release(): void } | undefined }[] = [];

  take(
    source: number,
    parsed: Parsed,
    _message: BusMessage,
    _receivedMs: number,
    settled: { release(): void } | undefined,
  ): void {
    this.taken.push({ source, parsed, settled });
  }

  get keys(): string[] {
    return this.taken.map(({ parsed }) => (parsed.ok ? parsed.key : parsed.reason));
  }
}

function binding(sink: EventSink, source: number, config: Record<string, unknown>): MqttBinding {
  const parsed = mqttSourceSchema.parse({ kind: "mqtt", format: "scalar", fields: { v: {} }, ...config });
  return { sink, source, config: parsed, fields: ["v"], eventIdPath: undefined };
}

function sourcesOf(bindings: readonly MqttBinding[]) {
  const sources = new MqttSources(bindings, { clock: { wallMs: () => 5 }, maxPayloadBytes: 1000 });
  let released = 0;
  const send = (topic: string, payload: string, message: Partial<BusMessage> = {}): void => {
    const receipt =
      message.qos === 0
        ? undefined
        : {
            release: () => {
              released += 1;
            },
          };
    sources.accept({
      topic,
      payload: Buffer.from(payload),
      qos: 1,
      retain: false,
      duplicate: false,
      traceparent: undefined,
      receipt,
      ...message,
    });
  };
  return { sources, send, released: () => released };
}

it("offers a message to each source that asks for its topic, with the key of its level", () => {
  const one = new Agent();
  const two = new Agent();
  const { sources, send } = sourcesOf([
    binding(one, 0, { topic: "plant/{pump}/t", key: "pump" }),
    binding(one, 1, { topic: "plant/#" }),
    binding(two, 0, { topic: "+/{b}/+", key: "b", retained: "use", qos: 0 }),
  ]);
  expect(sources.subscriptions).toEqual([
    { filter: "plant/+/t", qos: 1, retained: false },
    { filter: "plant/#", qos: 1, retained: false },
    { filter: "+/+/+", qos: 0, retained: true },
  ]);
  send("plant/p1/t", "1");
  send("plant/p1/t", "2");
  expect(new Set(one.keys)).toEqual(new Set(["p1", "plant/p1/t"]));
  expect(one.taken.length).toBe(4);
  expect(two.keys).toEqual(["p1", "p1"]);
});

it("acknowledges when the last of several agents has it on disk", () => {
  const one = new Agent();
  const two = new Agent();
  const { send, released } = sourcesOf([binding(one, 0, { topic: "a" }), binding(two, 0, { topic: "#" })]);
  send("a", "1");
  one.taken[0]?.settled?.release();
  expect(released()).toBe(0);
  two.taken[0]?.settled?.release();
  expect(released()).toBe(1);
});

it("acknowledges at once what nobody waits for", () => {
  const agent = new Agent();
  const { send, released } = sourcesOf([binding(agent, 0, { topic: "a", qos: 0 })]);
  send("a", "1");
  send("b", "1");
  expect(released()).toBe(2);
  expect(agent.taken.map(({ settled }) => settled)).toEqual([undefined]);
});

it("gives stored messages only to those that use them", () => {
  const fresh = new Agent();
  const stored = new Agent();
  const { send, released } = sourcesOf([
    binding(fresh, 0, { topic: "a" }),
    binding(stored, 0, { topic: "a", retained: "use" }),
    binding(fresh, 1, { topic: "b" }),
  ]);
  send("a", "1", { retain: true });
  send("b", "1", { retain: true });
  expect(fresh.taken).toEqual([]);
  expect(stored.taken.length).toBe(1);
  expect(released()).toBe(1);
  stored.taken[0]?.settled?.release();
  expect(released()).toBe(2);
});

it("refuses events whose topic gives no proper key", () => {
  const agent = new Agent();
  const { send } = sourcesOf([binding(agent, 0, { topic: "plant/{pump}/t", key: "pump" })]);
  send("plant//t", "1");
  send(`plant/${"x".repeat(300)}/t`, "1");
  send("plant/a\u0007/t", "1");
  expect(agent.keys).toEqual(["badKey", "badKey", "badKey"]);
});

it("says what is wrong with a source", () => {
  const agent = new Agent();
  expect(() => sourcesOf([binding(agent, 0, { topic: "a/#/b" })])).toThrow(
    expect.objectContaining({ code: "SOURCE_TOPIC" }),
  );
  expect(() => sourcesOf([binding(agent, 0, { topic: "a/{pump}", key: "pomp" })])).toThrow(
    expect.objectContaining({ code: "SOURCE_KEY", hint: "The topic names: {pump}." }),
  );
});
