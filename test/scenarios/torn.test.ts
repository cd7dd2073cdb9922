import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../scripts/trial/random.ts";
import { type Base, type Left, makeBase } from "../../scripts/trial/torn/base.ts";
import { runCase } from "../../scripts/trial/torn/round.ts";
import type { Tear } from "../../scripts/trial/torn/tears.ts";

const EVENTS = 240;
const LONG_MS = 60_000;

/** File, tear, how the daemon ended before, and what the start says of it. */
const cases: readonly (readonly [string, Tear, Left, RegExp])[] = [
  ["records.db", "empty", "killed", /recovered/],
  ["records.db", "missing", "killed", /recovered/],
  ["records.db", "all garbage", "latched", /recovered/],
  ["records.db", "cut at a block", "stopped", /recovered/],
  ["records.db-wal", "cut anywhere", "killed", /crash|truncated|restored/],
  ["records.db-shm", "all garbage", "killed", /crash/],
  ["control.db", "empty", "latched", /crash.*restored from its copy/],
  ["control.db", "a block of zeros", "killed", /crash.*restored from its copy/],
  ["control.db.bak", "all garbage", "latched", /crash/],
  ["position.json", "cut anywhere", "stopped", /clean.*position.json could not be read/],
  ["latch", "empty", "stopped", /clean.*the latch file can not be read/],
  ["latch", "missing", "latched", /crash/],
  ["gateway.key", "cut anywhere", "killed", /crash.*gateway.key could not be read/],
  ["gateway.pub", "all garbage", "stopped", /clean/],
  ["lock.db", "a beginning beside it", "killed", /crash/],
  ["ballast", "cut anywhere", "stopped", /clean/],
  ["reserve", "all garbage", "killed", /crash/],
  ["last-good/origin.json", "empty", "killed", /crash/],
  ["holdfast.yaml", "empty", "latched", /crash.*the last good one is used/],
  ["holdfast.yaml", "a block of garbage", "killed", /crash.*the last good one is used/],
];

describe("the first start after a power cut", () => {
  const folder = mkdtempSync(join(tmpdir(), "torn-"));
  let base: Base;

  beforeAll(async () => {
    base = await makeBase(folder, EVENTS);
  }, LONG_MS);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.concurrent.each(cases)(
    "with a torn %s (%s), %s before: comes up, says so, loses and repeats nothing",
    async (file, tear, left, says) => {
      const place = join(folder, `${file}-${tear}-${left}`.replaceAll(/\W+/g, "-"));
      const found = await runCase(base, { left, files: [{ file, tear }] }, place, createRandom(7));
      expect(found?.violations).toEqual([]);
      expect(`${found?.reason} ${found?.said}`).toMatch(says);
    },
    LONG_MS,
  );
});
