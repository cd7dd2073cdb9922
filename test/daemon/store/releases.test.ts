import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { generationById } from "../../../daemon/store/queries.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { parseRecord } from "../../../sync/records.ts";
import { inside, openTestStore, temporaryDirectory } from "./support.ts";

/** A data directory as each release left it, never made again. */
const releases = ["v1"];

test.each(releases)("goes on with what release %s left", async (release) => {
  const directory = temporaryDirectory();
  cpSync(fileURLToPath(new URL(`fixtures/${release}`, import.meta.url)), directory, { recursive: true });
  const { store } = await openTestStore(directory);
  expect(store.epoch()).toMatchObject({ reason: "clean", ordinal: 2 });
  const restored = await store.restore();
  expect(restored.totals).toEqual({ pump: { decided: 40 } });
  expect(restored.readings.reduce((sum, block) => sum + block.keys.length, 0)).toBe(40);
  expect(restored.seen.flatMap((block) => block.ids)).toHaveLength(40);
  expect(restored.ruleStates).toEqual([{ agent: 1, key: "p1", rule: "high", state: '{"since":1}' }]);
  expect(restored.checkpoints).toHaveLength(1);
  await store.stop();
  const bodies = inside(directory, (db) => db.prepare("SELECT body FROM record").pluck().all()) as string[];
  for (const body of bodies) parseRecord(body);
  expect(verifyLog({ directory })).toMatchObject({ ok: true, epochs: 2 });
  expect(generationById(join(directory, "control.db"), "0123456789abcdef")?.origin).toBe("local");
});
