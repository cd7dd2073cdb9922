import { expect, test } from "vitest";
import { trial } from "../../scripts/trial/replay.ts";

test("what a daemon decided makes no difference when it is tried again, and other things do", async () => {
  const { failures } = await trial({ rounds: 3, bus: undefined, keep: false, say: () => {} });
  expect(failures).toEqual([]);
}, 400_000);
