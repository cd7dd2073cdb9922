import { cpSync, mkdtempSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { modelSchema } from "../../config/models.ts";
import { findModel } from "../../daemon/find-model.ts";
import { Library } from "../../models/library.ts";

const fixtures = join(import.meta.dirname, "../fixtures/models");
const bundled = join(import.meta.dirname, "../../models/bundled");

function places() {
  const dataDirectory = mkdtempSync(join(tmpdir(), "find-model-"));
  return { dataDirectory, bundled, baseDirectory: fixtures };
}

test("a model is taken from its own folder, else from the library, else from those that came with the program", async () => {
  const here = places();
  const own = await findModel("any-name", modelSchema.parse({ directory: "linear" }), here);
  expect(own).toMatchObject({ ok: true, found: { directory: join(fixtures, "linear"), name: "any-name" } });
  const { manifest } = await new Library(join(here.dataDirectory, "models")).add(join(fixtures, "linear"));
  const kept = await findModel(manifest.name, undefined, here);
  expect(kept).toMatchObject({ ok: true, found: { manifest: { digest: manifest.digest } } });
  const came = await findModel("host-anomaly", undefined, here);
  expect(came).toMatchObject({ ok: true, found: { directory: join(bundled, "host-anomaly/1") } });
});

test("a file that is not the one of its manifest is refused, wherever it lies", async () => {
  const here = places();
  const folder = join(here.dataDirectory, "cut");
  cpSync(join(fixtures, "linear"), folder, { recursive: true });
  truncateSync(join(folder, "model.onnx"), 50);
  const refused = { ok: false, message: expect.stringContaining("50 bytes") };
  expect(await findModel("x", modelSchema.parse({ directory: folder }), here)).toMatchObject({
    ...refused,
    isOwn: true,
    at: "directory",
  });
  const library = new Library(join(here.dataDirectory, "models"));
  const { manifest, directory } = await library.add(join(fixtures, "linear"));
  truncateSync(join(directory, "model.onnx"), 50);
  expect(await findModel(manifest.name, undefined, here)).toMatchObject({ ...refused, isOwn: false });
});

test("what is not there is told with what is", async () => {
  const here = places();
  expect(await findModel("pump", undefined, here)).toMatchObject({
    ok: false,
    isOwn: false,
    message: 'there is no model "pump"',
    hint: expect.stringContaining("Known: host-anomaly 1."),
  });
  expect(await findModel("x", modelSchema.parse({ directory: "linear", version: 9 }), here)).toMatchObject({
    ok: false,
    isOwn: true,
    at: "version",
  });
});

test("the library's copy of the same file stands in for a folder whose file is damaged, and that is told", async () => {
  const here = places();
  const folder = join(here.dataDirectory, "cut");
  cpSync(join(fixtures, "linear"), folder, { recursive: true });
  const kept = await new Library(join(here.dataDirectory, "models")).add(folder);
  truncateSync(join(folder, "model.onnx"), 50);
  expect(await findModel("x", modelSchema.parse({ directory: folder }), here)).toMatchObject({
    ok: true,
    found: { directory: kept.directory, insteadOf: folder },
  });
  truncateSync(join(kept.directory, "model.onnx"), 40);
  expect(await findModel("x", modelSchema.parse({ directory: folder }), here)).toMatchObject({ ok: false });
});
