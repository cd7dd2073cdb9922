import { describe, expect, test } from "vitest";
import { isNamed, placeOf } from "../../sync/broker-url.ts";

describe("a broker's URL", () => {
  test.each([
    ["mqtts://Broker.example", { protocol: "mqtts:", host: "broker.example", port: 8883 }],
    ["mqtts://broker.example:8884", { protocol: "mqtts:", host: "broker.example", port: 8884 }],
    ["wss://broker.example/mqtt", { protocol: "wss:", host: "broker.example", port: 443 }],
    ["mqtt://[::1]", { protocol: "mqtt:", host: "[::1]", port: 1883 }],
  ])("%s leads to its place", (url, place) => {
    expect(placeOf(url)).toEqual(place);
  });

  test.each([
    ["mqtts://a.example", "a.example", true],
    ["mqtts://a.example", "A.example:8883", true],
    ["mqtts://a.example:8884", "a.example:8883", false],
    ["mqtts://a.example", "mqtts://a.example:8883", true],
    ["wss://a.example/mqtt", "a.example:443", true],
    ["mqtts://[2001:db8::1]", "[2001:db8::1]:8883", true],
    ["mqtts://a.example", "aa.example", false],
    ["mqtts://a.example", "", false],
  ])("%s named as %s: %s", (url, reference, isIt) => {
    expect(isNamed(url, reference)).toBe(isIt);
  });
});
