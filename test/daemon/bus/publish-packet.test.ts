import { expect, it } from "vitest";
import {
  encodePublish,
  expiryInterval,
  MOST_PACKET_BYTES,
  publishBytes,
  publishProblem,
  sentOf,
} from "../../../daemon/bus/publish-packet.ts";
import { command } from "../../support/commands.ts";

const limits = { version: 5, maximumPacketBytes: MOST_PACKET_BYTES, takesQos1: true } as const;

it("encodes a command as MQTT 3.1.1 has it", () => {
  const payload = Buffer.from("on");
  expect([...encodePublish("a/é", payload, undefined)]).toEqual([0x30, 8, 0, 4, 97, 47, 0xc3, 0xa9, 111, 110]);
  expect([...encodePublish("a", payload, 0x1234)]).toEqual([0x32, 7, 0, 1, 97, 0x12, 0x34, 111, 110]);
  expect([...encodePublish("a", Buffer.alloc(125), undefined).subarray(0, 4)]).toEqual([0x30, 0x80, 1, 0]);
});

it("knows the size of a command before it is made", () => {
  for (const size of [0, 1, 121, 122, 123, 16_376, 16_377, 16_378, 2_097_144, 2_097_145]) {
    const one = command("a/é", "x".repeat(size));
    expect(publishBytes(one, 4)).toBe(encodePublish(one.topic, one.payload, 1).length);
  }
});

it("asks nothing of properties where there are none", () => {
  const one = command("a", "x", { properties: { key: "\ud800" }, responseTopic: "\0" });
  expect(publishProblem(one, limits)).toBe("properties");
  expect(publishProblem(one, { ...limits, version: 4 })).toBeUndefined();
});

it("sends nothing to a broker that takes only QoS 0", () => {
  expect(publishProblem(command("a", "x"), { ...limits, takesQos1: false })).toBe("it does not offer QoS 1");
});

it("makes whole seconds of an expiry, never longer than was asked for", () => {
  expect([0, 0.4, 1.9, 60, 1e12].map(expiryInterval)).toEqual([1, 1, 1, 60, 0xffff_ffff]);
});

it("takes each reason below 0x80 but one for a yes", () => {
  expect([0, 1, 0x10, 0x11].map((code) => sentOf(code).kind)).toEqual([
    "acknowledged",
    "acknowledged",
    "failed",
    "acknowledged",
  ]);
});
