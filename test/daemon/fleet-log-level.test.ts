import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { personAsker } from "../../daemon/api/as-person.ts";
import type { Verb } from "../../daemon/api/control-server.ts";
import { logLevelVerbs } from "../../daemon/api/log-verbs.ts";
import { LogLevel } from "../../daemon/fleet/log-level.ts";
import { createLog } from "../../daemon/log.ts";

const MINUTE_MS = 60_000;

beforeEach(() => void vi.useFakeTimers({ now: 1_795_843_906_000 }));
afterEach(() => void vi.useRealTimers());

/** A daemon's log, of which a part has a child, and what somebody asks of it from afar. */
function daemon(configured = "info") {
  const lines: { level: string; msg: string; part?: string; from?: string; to?: string; person?: string }[] = [];
  const log = createLog(configured, {}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const part = log.child({ part: "bus" });
  const told: [string, unknown][] = [];
  const logLevel = new LogLevel({
    ...{ log, nowMs: () => Date.now() },
    record: (what, detail) => void told.push([what, detail]),
  });
  const identify = () => ({ name: "fleet:0011223344556677", isKnown: false, roles: [] });
  const { logLevel: verb } = logLevelVerbs(
    logLevel,
    personAsker(identify, () => undefined),
  ) as { logLevel: Verb };
  const ask = async (given: Record<string, unknown>) =>
    await verb(given, () => undefined, new AbortController().signal);
  /** What of one line of each level is written, by the daemon and by its part. */
  const seen = (): string => {
    const from = lines.length;
    for (const one of [log, part])
      for (const level of ["debug", "info", "warn", "error"] as const) one[level]({}, level);
    return lines
      .slice(from)
      .map(({ msg, part: by }) => `${by === undefined ? "" : `${by}:`}${msg}`)
      .join(" ");
  };
  return { log, part, lines, told, logLevel, ask, seen };
}

const ALL = "debug info warn error bus:debug bus:info bus:warn bus:error";
const USUAL = "info warn error bus:info bus:warn bus:error";
const FEW = "warn error bus:warn bus:error";

test("the level is another for as long as was asked, for children of the log too, and then the file's again", async () => {
  const { ask, seen, told } = daemon();
  expect(seen()).toBe(USUAL);
  expect(await ask({ level: "debug", minutes: 10 })).toEqual({ state: "debug until 2026-11-28T05:41:46.000Z" });
  vi.advanceTimersByTime(10 * MINUTE_MS - 1);
  expect(seen()).toBe(ALL);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(seen()).toBe(USUAL);
  expect(told).toEqual([["log level is back", { from: "debug", to: "info", by: "fleet:0011223344556677" }]]);
});

test("without a time it is an hour", async () => {
  const { ask, seen } = daemon();
  await ask({ level: "debug" });
  vi.advanceTimersByTime(60 * MINUTE_MS - 1);
  expect(seen()).toBe(ALL);
  vi.advanceTimersByTime(1);
  expect(seen()).toBe(USUAL);
});

test("the last one who asks is right, and what was asked before ends nothing of it", async () => {
  const { ask, seen } = daemon();
  await ask({ level: "debug", minutes: 10 });
  vi.advanceTimersByTime(5 * MINUTE_MS);
  await ask({ level: "warn", minutes: 30 });
  expect(seen()).toBe(FEW);
  vi.advanceTimersByTime(29 * MINUTE_MS);
  expect(seen()).toBe(FEW);
  vi.advanceTimersByTime(MINUTE_MS);
  expect(seen()).toBe(USUAL);
});

test("the file's level ends it early, and is not told a second time", async () => {
  const { ask, seen, told } = daemon();
  await ask({ level: "debug", minutes: 10 });
  expect(await ask({ level: "info" })).toEqual({ state: "info" });
  expect(seen()).toBe(USUAL);
  vi.advanceTimersByTime(120 * MINUTE_MS);
  expect(told).toEqual([]);
});

test("each change is a line with who asked, seen at whichever level", async () => {
  const { ask, lines } = daemon("error");
  await ask({ level: "warn", minutes: 1 });
  vi.advanceTimersByTime(MINUTE_MS);
  const person = "fleet:0011223344556677";
  expect(lines).toMatchObject([
    { msg: "log level changed", from: "error", to: "warn", person },
    { msg: "log level changed", from: "warn", to: "error", person },
  ]);
});

test.each([
  ["silence", { level: "silent" }],
  ["hiding the warnings by which tools tell people", { level: "error" }],
  ["longer than a day", { level: "debug", minutes: 1441 }],
  ["no time at all", { level: "debug", minutes: 0 }],
  ["a part of a minute", { level: "debug", minutes: 0.5 }],
  ["a word for minutes", { level: "debug", minutes: "60" }],
])("refuses %s", async (_what, given) => {
  const { ask, seen } = daemon();
  await expect(ask(given)).rejects.toMatchObject({ code: "REQUEST_INVALID" });
  expect(seen()).toBe(USUAL);
});

test("a day is not too long for a timer", async () => {
  const { ask, seen } = daemon();
  await ask({ level: "debug", minutes: 1440 });
  vi.advanceTimersByTime(1440 * MINUTE_MS - 1);
  expect(seen()).toBe(ALL);
  vi.advanceTimersByTime(1);
  expect(seen()).toBe(USUAL);
});

test("a daemon that stops writes nothing down afterwards", async () => {
  const { ask, told, logLevel } = daemon();
  await ask({ level: "debug", minutes: 1 });
  await logLevel.stop();
  vi.advanceTimersByTime(2 * MINUTE_MS);
  expect(told).toEqual([]);
});
