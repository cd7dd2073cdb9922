import { expect, test } from "vitest";
import { seriesFolder, trial } from "../../scripts/trial/feed.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const ROWS = 2000;
const LONGEST_MS = 400_000;
const isThere = seriesFolder() !== undefined;
if (!isThere && process.env.CI) throw new Error("the recorded series is missing: ../shared/data/nab beside the clone");

describeWithMosquitto("a recorded series on a broker that is there", () => {
  test.skipIf(!isThere)("becomes one decision a reading", { timeout: LONGEST_MS }, async () => {
    const { figures, failures } = await trial({ rounds: ROWS, bus: undefined, keep: false, say: () => {} });
    expect(failures).toEqual([]);
    expect(figures["deliveries, accepted"]).toBe(`${ROWS}, ${ROWS}`);
    expect(figures["passes not opened, why"]).toBe("143 coverage");
  });
});
