import mqttPacket from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { AckCounter, connectPacket, publishTemplate, writePublish } from "../../../scripts/bench/packets.ts";

function parse(bytes: Buffer): mqttPacket.Packet[] {
  const packets: mqttPacket.Packet[] = [];
  const parser = mqttPacket.parser();
  parser.on("packet", (packet) => packets.push(packet));
  parser.parse(bytes);
  return packets;
}

describe("the publisher's packets", () => {
  it("are read by others as what they mean", () => {
    const template = publishTemplate("bench/telemetry", 1, "pump-07", ["a", "b"], [20.5, 3]);
    const bytes = Buffer.alloc(2 * template.bytes.length);
    const middle = writePublish(bytes, 0, template, 1_763_880_000_001, 7);
    writePublish(bytes, middle, template, 1_763_880_000_002, 65_535);
    const [first, second] = parse(bytes) as mqttPacket.IPublishPacket[];
    expect(first).toMatchObject({ cmd: "publish", topic: "bench/telemetry", qos: 1, messageId: 7, retain: false });
    expect(JSON.parse(String(first?.payload))).toEqual({ key: "pump-07", ts: 1_763_880_000_001, a: 20.5, b: 3 });
    expect(second?.messageId).toBe(65_535);
    expect(JSON.parse(String(second?.payload)).ts).toBe(1_763_880_000_002);
    expect(parse(connectPacket("bench-1"))[0]).toMatchObject({
      cmd: "connect",
      clientId: "bench-1",
      protocolVersion: 4,
    });
  });

  it("have no identifier at QoS 0", () => {
    const { bytes } = publishTemplate("t", 0, "k", ["a"], [1]);
    expect(parse(bytes)[0]).toMatchObject({ qos: 0, topic: "t" });
  });
});

describe("the count of acknowledgements", () => {
  it("does not depend on how the stream is cut", () => {
    const stream = Buffer.concat([
      mqttPacket.generate({ cmd: "connack", returnCode: 0, sessionPresent: false }),
      ...[1, 300, 65_535].map((messageId) => mqttPacket.generate({ cmd: "puback", messageId })),
    ]);
    for (const size of [1, 3, stream.length]) {
      const counter = new AckCounter();
      for (let at = 0; at < stream.length; at += size) counter.push(stream.subarray(at, at + size));
      expect([counter.isConnected, counter.acknowledged]).toEqual([true, 3]);
    }
  });

  it("takes a refused connection for an error", () => {
    const refusal = mqttPacket.generate({ cmd: "connack", returnCode: 5, sessionPresent: false });
    expect(() => new AckCounter().push(refusal)).toThrow("refused");
  });
});
