import { expect, test } from "vitest";
import { trial } from "../../scripts/trial/act.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const ROUNDS = 10;
const LONGEST_MS = 400_000;

describeWithMosquitto("a daemon that acts while everything around it fails", () => {
  test("does nothing without an intent, twice, forbidden, over a limit, too late or while latched", {
    timeout: LONGEST_MS,
  }, async () => {
    const said: string[] = [];
    // The trial's own oracles, over fewer faults: `npm run trial -- act` is the long one.
    const faults = ["kill", "kill", "restore", "brokerDies", "latch", "latchInOutage", "latchFile", "switchedOff"];
    const options = {
      rounds: ROUNDS,
      faults,
      bus: undefined,
      keep: false,
      say: (line: string) => void said.push(line),
    };
    const { figures, failures } = await trial(options);
    expect(failures, said.join("\n")).toEqual([]);
    expect(figures["effects, in all"]).toBeGreaterThan(500);
    expect(figures["faults, in all"]).toBeGreaterThanOrEqual(ROUNDS);
  });
});
