import { expect, test } from "vitest";
import { trial } from "../../scripts/trial/disk.ts";

// Mounting a file system is for root.
test.skipIf(process.getuid?.() !== 0)(
  "waits on a full disk, acknowledges nothing it can not keep, and goes on when there is room",
  async () => {
    const { failures } = await trial({ rounds: 4000, bus: undefined, keep: false, say: () => {} });
    expect(failures).toEqual([]);
  },
  400_000,
);
