import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { likelyDataDirectory } from "../../daemon/last-good.ts";

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
