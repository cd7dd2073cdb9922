import { existsSync, mkdirSync, mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import type { LoadedConfig } from "../../config/load.ts";
import { keptCopies, likelyDataDirectory, rememberLastGood } from "../../daemon/last-good.ts";

const folder = mkdtempSync(join(tmpdir(), "last-good-"));

function directoryIn(text: string, environment: Record<string, string> = {}): string {
  const file = join(folder, "holdfast.yaml");
  writeFileSync(file, text);
  return likelyDataDirectory(file, environment);
}

test.each([
  ["a block", "bus: {\nstore:\n  maxBytes: 5\n\n  directory: /var/lib/holdfast # here\n", "/var/lib/holdfast"],
  ["one line", 'store: { maxBytes: 5, directory: "./d ata" }\nbus: [', join(folder, "d ata")],
  ["nothing", "bus:\n  directory: /elsewhere\n", join(folder, ".holdfast")],
])("a broken file tells its data directory by %s", (_, text, expected) => {
  expect(directoryIn(text)).toBe(expected);
});

test("the environment's data directory counts for a broken file too", () => {
  expect(directoryIn("store: {", { HOLDFAST__STORE__DIRECTORY: "/srv/x" })).toBe("/srv/x");
  expect(likelyDataDirectory(join(folder, "gone.yaml"), {})).toBe(join(folder, ".holdfast"));
});

test("a broken file of the package that tells nothing keeps its data where the package does", () => {
  expect(likelyDataDirectory("/etc/holdfast/holdfast.yaml", {})).toBe("/var/lib/holdfast");
  expect(likelyDataDirectory("/etc/holdfast/other/holdfast.yaml", {})).toBe("/etc/holdfast/other/.holdfast");
});

test("a folder in the place of the file tells as little as one that may not be read", () => {
  expect(likelyDataDirectory(folder, {})).toBe(join(dirname(folder), ".holdfast"));
});

const loaded = (text: string): LoadedConfig =>
  ({
    files: [{ path: "holdfast.yaml", sha256: "", bytes: Buffer.from(text), inGeneration: true }],
    baseDirectory: "/etc/holdfast",
  }) as unknown as LoadedConfig;

test("a kept copy whose origin is torn is passed over for the one before it", () => {
  const data = mkdtempSync(join(tmpdir(), "last-good-"));
  expect(keptCopies(data)).toEqual([]);
  rememberLastGood(data, loaded("a"));
  renameSync(join(data, "last-good"), join(data, "last-good.old"));
  mkdirSync(join(data, "last-good"));
  writeFileSync(join(data, "last-good/origin.json"), '{"main":"holdf');
  const file = join(data, "last-good.old/holdfast.yaml");
  expect(keptCopies(data)).toEqual([{ file, baseDirectory: "/etc/holdfast" }]);
});

test("a new copy that was whole when the power went counts, and is not lost by the next one", () => {
  const data = mkdtempSync(join(tmpdir(), "last-good-"));
  rememberLastGood(data, loaded("a"));
  renameSync(join(data, "last-good"), join(data, "last-good.new"));
  expect(keptCopies(data).map(({ file }) => file)).toEqual([join(data, "last-good.new/holdfast.yaml")]);
  rememberLastGood(data, loaded("b"));
  expect(keptCopies(data).map(({ file }) => file)).toEqual([join(data, "last-good/holdfast.yaml")]);
  expect(["new", "old"].filter((end) => existsSync(join(data, `last-good.${end}`)))).toEqual([]);
});
