import { expect, test } from "vitest";
import { trial } from "../../scripts/trial/models.ts";

test("goes on with good models beside one that crashes and one whose weights are damaged", async () => {
  const { failures } = await trial({ rounds: 2, bus: undefined, keep: false, say: () => {} });
  expect(failures).toEqual([]);
}, 400_000);
