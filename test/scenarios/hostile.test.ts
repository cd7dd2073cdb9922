import { expect, test } from "vitest";
import { trial } from "../../scripts/trial/hostile.ts";

test("takes hostile payloads on both buses, counts each by its reason, and goes on deciding", async () => {
  const { failures } = await trial({ rounds: 600, bus: undefined, keep: false, say: () => {} });
  expect(failures).toEqual([]);
}, 400_000);
