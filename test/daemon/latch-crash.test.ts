import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { childPath } from "../../daemon/children.ts";

const dist = dirname(dirname(childPath("daemon/main")));
const child = fileURLToPath(new URL("latch-child.mjs", import.meta.url));

type Work = "start" | "stop" | "release";

/** What it says of the latch at the end; undefined when it died before. */
function run(directory: string, work: Work, crashpoint?: string): { latched: boolean } | undefined {
  const options = JSON.stringify({ dist, directory, work, crashpoint });
  const { stdout, stderr, signal } = spawnSync(process.execPath, [child, options], { encoding: "utf8" });
  expect(`${work} ${signal} ${stderr}`).toBe(`${work} ${crashpoint === undefined ? null : "SIGKILL"} `);
  return stdout === "" ? undefined : (JSON.parse(stdout) as { latched: boolean });
}

test.each<[Work, string, Work[], boolean]>([
  ["start", "latch.create.before", [], false],
  ["start", "latch.create.after", [], false],
  ["start", "latch.control.before", [], false],
  ["start", "latch.control.after", [], false],
  // Nothing was told, and nothing was done.
  ["stop", "latch.file.before", ["start"], false],
  ["stop", "latch.file.written", ["start"], true],
  ["stop", "latch.file.after", ["start"], true],
  ["stop", "latch.control.before:2", ["start"], true],
  ["stop", "latch.control.after:2", ["start"], true],
  ["release", "latch.release.before", ["stop"], true],
  ["release", "latch.release.control", ["stop"], true],
  ["release", "latch.release.file", ["stop"], false],
  ["release", "latch.release.after", ["stop"], false],
])("a %s that dies at %s, after %j: latched is %s", (work, point, before, expected) => {
  const directory = mkdtempSync(join(tmpdir(), "latch-crash-"));
  for (const one of before) run(directory, one);
  expect(run(directory, work, point)).toBeUndefined();
  const next = run(directory, "start");
  expect(next).toMatchObject({ latched: expected, effects: !expected });
  // However it died, a person can stop and release it again.
  expect(run(directory, "stop")).toMatchObject({ latched: true, effects: false });
  expect(run(directory, "release")).toMatchObject({ latched: false, effects: true });
  rmSync(directory, { recursive: true });
});
