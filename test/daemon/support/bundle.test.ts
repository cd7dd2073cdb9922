import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadConfig } from "../../../config/load.ts";
import { createIds } from "../../../daemon/ids.ts";
import type { Status } from "../../../daemon/status.ts";
import type { Page } from "../../../daemon/store/queries.ts";
import { type BundleDeps, supportBundle } from "../../../daemon/support/bundle.ts";
import { supportSchema } from "../../../sync/records.ts";

const folder = mkdtempSync(join(tmpdir(), "support-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CANARY = "canary-4711";

function deps(notes: readonly object[]): BundleDeps {
  const file = join(folder, "holdfast.yaml");
  writeFileSync(
    file,
    `schemaVersion: 1\nbus: { kind: external, url: "mqtt://127.0.0.1:1883", username: pump, passwordFile: bus.secret }\n`,
  );
  writeFileSync(join(folder, "bus.secret"), CANARY);
  const loaded = loadConfig({ file, environment: {} });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const rows = notes.map((note) => ({ body: JSON.stringify(note) }));
  return {
    ...{
      newId: createIds(),
      config: loaded.config,
      fleet: () => undefined,
      status: () => ({ version: "1.2.3" }) as Status,
    },
    clock: { wallMs: () => 1_790_000_000_000.5, trust: () => "synced" },
    reader: { page: async () => ({ rows }) as unknown as Page, outbox: async () => [] },
  };
}

test("has what a helper needs, fits its schema, and shows no secret", async () => {
  const bundle = await supportBundle(deps([{ v: 1, kind: "health", what: "store reports", at: 1 }]));
  expect(supportSchema.safeParse(bundle).error).toBeUndefined();
  expect(bundle).toMatchObject({ at: 1_790_000_000_000, clock: "synced", status: { version: "1.2.3" }, link: null });
  expect(bundle.notes).toMatchObject([{ what: "store reports" }]);
  expect(JSON.stringify(bundle)).toContain("bus.secret");
  expect(JSON.stringify(bundle)).not.toContain(CANARY);
});

test("has no value that a record names private", async () => {
  const note = { v: 1, kind: "health", what: "x", at: 1, private: ["patient"], fields: { patient: CANARY, heat: 7 } };
  const text = JSON.stringify(await supportBundle(deps([note])));
  expect(text).not.toContain(CANARY);
  expect(text).toContain('"heat":7');
});

test("leaves the oldest notes out where they are too many for one record", async () => {
  const notes = Array.from({ length: 100 }, (_, at) => ({ v: 1, kind: "health", what: "x".repeat(5000), at }));
  const bundle = await supportBundle(deps(notes));
  expect(Buffer.byteLength(JSON.stringify(bundle))).toBeLessThanOrEqual(96 * 1024);
  expect(bundle.notes.length).toBeGreaterThan(10);
  expect(bundle.notes[0]).toMatchObject({ at: 0 });
});
