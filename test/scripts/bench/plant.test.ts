import mqttPacket from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { PacketReader } from "../../../scripts/bench/packet-reader.ts";
import { HIGH, makeSwinging, VARIANTS } from "../../../scripts/bench/templates.ts";

describe("the plant's reading of packets", () => {
  it("does not depend on how the stream is cut", () => {
    const payloads = ["a", "b".repeat(200), ""];
    const stream = Buffer.concat([
      mqttPacket.generate({ cmd: "suback", messageId: 1, granted: [1] }),
      ...payloads.map((payload, at) =>
        mqttPacket.generate({
          cmd: "publish",
          topic: "t",
          qos: 1,
          messageId: at + 1,
          payload,
          dup: false,
          retain: false,
        }),
      ),
    ]);
    for (const size of [1, 3, 7, stream.length]) {
      const seen: [number, string][] = [];
      const reader = new PacketReader((first, body) => seen.push([first, body.toString("latin1", 5)]));
      for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size));
      expect(seen).toEqual([[0x90, ""], ...payloads.map((payload) => [0x32, payload])]);
    }
  });
});

describe("messages that lead to effects", () => {
  it("cross the limit each time, for each key, also where the list begins again", () => {
    const templates = makeSwinging({ topic: "t", qos: 1, fields: ["f0", "f1"], keys: 64 });
    const last = new Map<string, boolean>();
    for (let at = 0; at < 2 * VARIANTS; at++) {
      const { bytes } = templates[at % VARIANTS] as (typeof templates)[number];
      const { key, f0 } = JSON.parse(bytes.toString("latin1", bytes.indexOf("{"))) as { key: string; f0: number };
      expect(last.get(key)).not.toBe(f0 >= HIGH);
      last.set(key, f0 >= HIGH);
    }
    expect(last.size).toBe(64);
  });
});
