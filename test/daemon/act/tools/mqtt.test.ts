import { describe, expect, it } from "vitest";
import { toolSchema } from "../../../../config/tools.ts";
import type { BusCommand, CommandBus, Sent } from "../../../../daemon/act/tool.ts";
import { createMqttTool, type MqttToolConfig } from "../../../../daemon/act/tools/mqtt.ts";
import { send } from "../../../support/tool-call.ts";

/** A bus that keeps what it is to publish. */
function keepingBus(sent: Sent = { kind: "acknowledged" }) {
  const commands: BusCommand[] = [];
  const commandBus: CommandBus = {
    isConnected: true,
    publish: async (command, gate) => {
      if (!gate()) return { kind: "failed", left: false, reason: "stopped" };
      commands.push(command);
      return sent;
    },
    connected: async () => {},
    drained: async () => {},
  };
  return { commands, commandBus };
}

function command(config: Record<string, unknown>, bus = keepingBus()) {
  const parsed = toolSchema.parse({ kind: "mqtt", topic: "plant/{pump}/command", ...config }) as MqttToolConfig;
  return { ...bus, tool: createMqttTool(parsed, bus) };
}

describe("a command on the bus", () => {
  it("goes to its topic, with its payload filled, its key in both places, and the time that it is good for", async () => {
    const { commands, tool } = command({ payload: { cmd: "stop", at: "{limit}", why: ["{pump} is hot"], _id: "x" } });
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const given = { pump: "p1", limit: 4.5 };
    expect(await send(tool, { arguments: given, trace, remainingMs: 9_900 })).toEqual({ kind: "acknowledged" });
    expect(commands).toEqual([
      {
        topic: "plant/p1/command",
        payload: expect.any(Buffer),
        timeoutMs: 10_000,
        expirySeconds: 9,
        properties: { "idempotency-key": "key-1", traceparent: trace },
      },
    ]);
    expect(JSON.parse(String(commands[0]?.payload))).toEqual({
      cmd: "stop",
      at: 4.5,
      why: ["p1 is hot"],
      _id: "key-1",
    });
  });

  it("carries no key in a payload that is to have none, and no trace that is none", async () => {
    const { commands, tool } = command({ payload: { cmd: "stop" }, payloadId: "none" });
    await send(tool, { arguments: { pump: "p1" }, trace: "x", remainingMs: 200 });
    expect(JSON.parse(String(commands[0]?.payload))).toEqual({ cmd: "stop" });
    expect(commands[0]).toMatchObject({ expirySeconds: 1, properties: { "idempotency-key": "key-1" } });
  });

  it.each(["a/b", "+", "#", "p1/#", "", "a\0b", "a\nb", "p\ud800", "../x/y"])(
    "does not let %j change which topic it is",
    async (pump) => {
      const { commands, tool } = command({});
      expect(await send(tool, { arguments: { pump } })).toEqual({
        kind: "failed",
        left: false,
        permanent: true,
        reason: "an argument does not fit into a level of the topic",
      });
      expect(commands).toEqual([]);
    },
  );

  it("lets no argument add to its payload", async () => {
    const { commands, tool } = command({ payload: { cmd: "stop", by: "{by}" } });
    const by = '","cmd":"start","_id":"other","x":"';
    await send(tool, { arguments: { pump: "p1", by } });
    expect(JSON.parse(String(commands[0]?.payload))).toEqual({ cmd: "stop", by, _id: "key-1" });
  });

  it("ends as the bus says, and when an argument is missing", async () => {
    const notConnected: Sent = { kind: "failed", left: false, reason: "notConnected" };
    expect(await send(command({}, keepingBus(notConnected)).tool, { arguments: { pump: "p1" } })).toEqual(notConnected);
    expect(await send(command({}).tool)).toMatchObject({ left: false, permanent: true });
    const { commands, tool } = command({});
    expect(await send(tool, { arguments: { pump: "p1" } }, () => false)).toMatchObject({ reason: "stopped" });
    expect(commands).toEqual([]);
  });
});
