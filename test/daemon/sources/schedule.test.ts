import { afterEach, expect, it } from "vitest";
import { ScheduleSource, scheduleProblem } from "../../../daemon/sources/schedule.ts";
import { until } from "../../support/bus.ts";

let source: ScheduleSource | undefined;

afterEach(async () => {
  await source?.stop();
});

it("ticks when it is due, and not after the stop", async () => {
  const ticks: number[] = [];
  source = new ScheduleSource(
    { clock: { wallMs: () => Date.now() }, emit: (timeMs) => ticks.push(timeMs) },
    { cron: "* * * * * *" },
  );
  await source.start(new AbortController().signal);
  expect(source.nextMs()).toBeGreaterThan(Date.now() - 1000);
  await until("two ticks", () => ticks.length >= 2);
  expect(ticks.every((timeMs) => timeMs % 1000 === 0)).toBe(true);
  await source.stop();
  const count = ticks.length;
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(ticks.length).toBe(count);
  expect(source.nextMs()).toBeUndefined();
});

it("goes by the time zone it is given", async () => {
  source = new ScheduleSource(
    { clock: { wallMs: () => Date.now() }, emit: () => {} },
    { cron: "30 6 * * *", timezone: "Asia/Kolkata" },
  );
  await source.start(new AbortController().signal);
  const next = new Date(source.nextMs() ?? 0);
  expect([next.getUTCHours(), next.getUTCMinutes()]).toEqual([1, 0]);
});

it.each([
  [{ cron: "* * * *" }, "five fields"],
  [{ cron: "61 * * * *" }, /minute|61/i],
  [{ cron: "often" }, "five fields"],
  [{ cron: "* * * * *", timezone: "Europe/Atlantis" }, "no time zone Europe/Atlantis"],
])("says what is wrong with %j", (config, words) => {
  expect(scheduleProblem(config)).toMatch(words);
  expect(() => new ScheduleSource({ clock: { wallMs: () => 0 }, emit: () => {} }, config)).toThrow(
    expect.objectContaining({ code: "SOURCE_SCHEDULE" }),
  );
});

it("finds nothing wrong with what is right", () => {
  expect(scheduleProblem({ cron: "*/5 8-18 * * 1-5", timezone: "Europe/Vienna" })).toBeUndefined();
});
