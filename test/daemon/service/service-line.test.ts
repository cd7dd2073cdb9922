import { expect, test } from "vitest";
import { startLine } from "../../../daemon/service/service-line.ts";

const sqlite = "SQLITE_READONLY: attempt to write a readonly database";

test.each([
  ["starting", undefined, "starts: looks at its database"],
  ["full", "SQLITE_FULL: database or disk is full", "starts: waits, log full: SQLITE_FULL: database or disk is full"],
  [
    "full",
    `the disk with the data directory is read-only (${sqlite})`,
    `starts: waits, log not written: the disk with the data directory is read-only (${sqlite})`,
  ],
] as const)("a start that is %s for %s is told as what it is", (condition, reason, line) => {
  expect(startLine({ condition, reason })).toBe(line);
});
