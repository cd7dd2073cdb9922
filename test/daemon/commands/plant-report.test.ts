import { expect, test } from "vitest";
import { createPlantReport, statusLine, sums } from "../../../daemon/commands/plant-report.ts";
import { program } from "../../../daemon/commands/program.ts";
import { newPlant } from "../../../daemon/simulate/plant.ts";
import { fakeIo } from "../../support/io.ts";

const plain = (text: string): string => text;
const COUNTS = { sent: 1200, acknowledged: 1199, lost: 1 };

test("a simulated plant says its state on one line", () => {
  expect(statusLine(newPlant())).toBe(
    "freezer -20.0 °C, door shut, 0 running  |  chiller 2.0 °C, door shut, 0 running  |  dock 6.0 °C, door shut, 0 running  |  receiver 10.0 bar",
  );
});

test("its sums name each id that came more than once, and what it was for", () => {
  const repeated = [{ id: "a/b/0", device: "dock-1", cmd: "stop", times: 2 }];
  expect(sums({ commands: 5, differentIds: 3, withoutId: 1, notUnderstood: 2, repeated }, COUNTS)).toEqual([
    "1 200 readings sent, 1 199 acknowledged, 1 lost",
    "5 commands received with 3 different ids, 1 without one, 2 more that no actuator knows",
    "came more than once under one id (only idempotent tools may):",
    "  2 times  dock-1  stop  a/b/0",
  ]);
});

test("it prints a JSON object a line where that is asked for, and nothing that could steer a terminal where not", () => {
  const asJson = fakeIo();
  const happening = { kind: "command", device: "dock-1", text: "stop", id: "\u001b[2J" } as const;
  createPlantReport(asJson, plain, true).happening(happening, 1500);
  expect(JSON.parse(asJson.printed())).toEqual({
    at: expect.any(String),
    elapsedMs: 1500,
    kind: "command",
    device: "dock-1",
    text: "stop",
    _id: "\u001b[2J",
  });
  const asText = fakeIo();
  createPlantReport(asText, plain, false).happening(happening, 1500);
  expect(asText.printed()).toMatch(/^\d\d:\d\d:\d\d {2}command {4}dock-1 {15}stop {2}·\[2J\n$/);
});

test.each([
  [["simulate", "pumping-station"]],
  [["simulate", "cold-store", "--faults", "all"]],
  [["simulate", "cold-store", "--speed", "1000"]],
  [["simulate", "cold-store", "--seed", "0"]],
])("holdfast %j is refused as wrong usage", async (args) => {
  const io = fakeIo();
  expect(await program(args, io)).toBe(2);
  expect(io.told()).toMatch(/error: /);
});
