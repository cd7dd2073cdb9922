import { expect, test } from "vitest";
import { stopTrial } from "../../scripts/trial/stop.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const ROUNDS = 6;
const CASES = ["asked", "socket gone", "daemon down", "slow network, asked"];

// The trial's own checks, over few rounds: `npm run trial -- stop` is the long one.
describeWithMosquitto("holdfast stop while 1,000 passes and 200 actions a second go through a broker", () => {
  test("lets nothing leave after it has returned", { timeout: 400_000 }, async () => {
    const options = { rounds: ROUNDS, bus: undefined, keep: false, say: () => {} };
    const { failures } = await stopTrial(options, (name) => CASES.includes(name));
    expect(failures).toEqual([]);
  });
});
