import { expect, test } from "vitest";
import { checkFleet } from "../../daemon/check-fleet.ts";
import { loaded, loadText } from "../config/workspace.ts";

function mistakes(fleet: object, device = "plant-7"): string[] {
  const found = loaded(loadText(JSON.stringify({ device: { name: device }, fleet: { name: "north", ...fleet } })));
  const problems: Parameters<typeof checkFleet>[1] = [];
  checkFleet(found, problems);
  return problems.map((one) => `${one.path}: ${one.message}`);
}

test("a fleet that can be reached has no mistakes, and a file without one neither", () => {
  expect(mistakes({ brokers: ["mqtts://fleet.example:8883", "mqtt://127.0.0.1:1883", "mqtt://[::1]:1883"] })).toEqual(
    [],
  );
  const problems: Parameters<typeof checkFleet>[1] = [];
  checkFleet(loaded(loadText("{}")), problems);
  expect(problems).toEqual([]);
});

test("what would go over a network without protection, or could never be a topic, is a mistake", () => {
  expect(mistakes({ brokers: ["mqtt://fleet.example"] })).toEqual([
    "fleet.brokers[0]: mqtt:// is for a broker on this machine alone",
  ]);
  expect(mistakes({ brokers: ["mqtts://plant-7:secret@fleet.example"] })).toEqual([
    "fleet.brokers[0]: a broker's URL carries no user and password",
  ]);
  expect(mistakes({ brokers: ["mqtts://a"] }, "plant.7")).toEqual([
    'fleet: the device\'s name "plant.7" can be no level of a topic',
  ]);
  expect(mistakes({ brokers: ["mqtts://a"], gateway: "plant-7" }, "plant.7")).toEqual([]);
});

test("a certificate without its key, and a key that is none, are mistakes", () => {
  expect(mistakes({ brokers: ["mqtts://a"], tls: { certificate: "a.pem" } })).toEqual([
    "fleet.tls: a certificate needs its key, and a key its certificate",
  ]);
  expect(mistakes({ brokers: ["mqtts://a"], keys: ["bm9uZQ=="] })).toEqual(["fleet.keys[0]: this is no Ed25519 key"]);
});
