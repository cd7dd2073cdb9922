import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeDurably } from "../../daemon/durable-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "durable-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("writes through no link that waits under the name of its temporary file", () => {
  const [path, elsewhere] = [join(folder, "gateway.key"), join(folder, "elsewhere")];
  writeFileSync(elsewhere, "theirs");
  symlinkSync(elsewhere, `${path}.${process.pid}.tmp`);
  expect(() => writeDurably(path, "ours")).toThrow(/ELOOP/);
  expect(readFileSync(elsewhere, "utf8")).toBe("theirs");
});

test("puts the new content in the place of the old", () => {
  const path = join(folder, "file");
  writeDurably(path, "old, and longer");
  writeDurably(path, "new");
  expect(readFileSync(path, "utf8")).toBe("new");
});
