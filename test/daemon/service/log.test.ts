import { fstatSync } from "node:fs";
import { expect, test } from "vitest";
import { createLog, type Log } from "../../../daemon/log.ts";

/** As if standard output were the journal's. */
function journal(): Record<string, string> {
  const { dev, ino } = fstatSync(1);
  return { JOURNAL_STREAM: `${dev}:${ino}` };
}

function lines(environment: Record<string, string>, say: (log: Log) => void): string[] {
  const written: string[] = [];
  say(createLog("debug", environment, { write: (line: string) => void written.push(line) }));
  return written;
}

function all(log: Log): void {
  for (const level of ["debug", "info", "warn", "error", "fatal"] as const)
    log.child({ part: "store" })[level]({}, "x");
}

test("in the journal each line has the priority of its level, and is JSON without it", () => {
  const written = lines(journal(), all);
  expect(written.map((line) => line.slice(0, 3))).toEqual(["<7>", "<6>", "<4>", "<3>", "<2>"]);
  for (const line of written) expect(JSON.parse(line.slice(3))).toMatchObject({ part: "store", msg: "x" });
});

test("elsewhere a line has no such prefix", () => {
  for (const line of lines({ JOURNAL_STREAM: "1:2" }, all)) expect(JSON.parse(line)).toMatchObject({ part: "store" });
});
