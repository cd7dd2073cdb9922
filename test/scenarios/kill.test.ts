import { describe, expect, test } from "vitest";
import { trial } from "../../scripts/trial/kill.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const ROUNDS = 6;
const LONGEST_MS = 400_000;

/** The trial's own checks, over fewer rounds: `npm run trial -- kill` is the long one. */
async function failuresOn(bus: "embedded" | "external"): Promise<readonly string[]> {
  const said: string[] = [];
  const { figures, failures } = await trial({ rounds: ROUNDS, bus, keep: false, say: (line) => said.push(line) });
  expect(figures, said.join("\n")).toHaveProperty([`${bus}: messages sent, acknowledged, a second`]);
  return failures;
}

describe("a gateway that is its own broker", () => {
  test("loses no acknowledged event when the daemon is killed", { timeout: LONGEST_MS }, async () => {
    expect(await failuresOn("embedded")).toEqual([]);
  });
});

describeWithMosquitto("a gateway on a broker that is there", () => {
  test("loses no acknowledged event when the daemon is killed", { timeout: LONGEST_MS }, async () => {
    expect(await failuresOn("external")).toEqual([]);
  });
});
