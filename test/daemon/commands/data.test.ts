import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadConfig } from "../../../config/load.ts";
import { dataDirectory } from "../../../daemon/commands/data.ts";
import type { Io } from "../../../daemon/commands/io.ts";
import { ConfigInvalid } from "../../../daemon/errors.ts";
import { rememberLastGood } from "../../../daemon/last-good.ts";

let folder: string;
let said: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "data-"));
  said = "";
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function asked(): string {
  const err = (text: string): void => {
    said += text;
  };
  const stop = new AbortController().signal;
  const io: Io = { environment: {}, out: err, err, terminal: false, columns: 100, stop };
  return dataDirectory({ config: join(folder, "holdfast.yaml") }, io);
}

const GOOD = "schemaVersion: 1\nstore: { directory: data }\n";

test("a gateway that runs with its last good file can be asked while the file has mistakes, and that is said", () => {
  const file = join(folder, "holdfast.yaml");
  writeFileSync(file, GOOD);
  const loaded = loadConfig({ file, environment: {} });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  mkdirSync(join(folder, "data"));
  expect(asked()).toBe(join(folder, "data"));
  rememberLastGood(join(folder, "data"), loaded);
  writeFileSync(file, `${GOOD}agents: [\n`);
  expect(asked()).toBe(join(folder, "data"));
  expect(said).toContain("has mistakes");
});

test("a file with mistakes that never worked is an error", () => {
  writeFileSync(join(folder, "holdfast.yaml"), `${GOOD}agents: [\n`);
  expect(asked).toThrow(ConfigInvalid);
});
