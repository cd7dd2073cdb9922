import { expect, test } from "vitest";
import { trial } from "../../scripts/trial/keys.ts";

test("keeps the newest keys of many, and counts each one that it forgets", async () => {
  const { failures } = await trial({ rounds: 3000, bus: undefined, keep: false, say: () => {} });
  expect(failures).toEqual([]);
}, 400_000);
