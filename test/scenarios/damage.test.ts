import { expect, test } from "vitest";
import { trial } from "../../scripts/trial/damage.ts";

test("comes up after any damage to its files, and says what it found", async () => {
  const { failures } = await trial({ rounds: 600, bus: undefined, keep: false, say: () => {} });
  expect(failures).toEqual([]);
}, 400_000);
