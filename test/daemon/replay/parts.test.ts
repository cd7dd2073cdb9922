import { expect, test } from "vitest";
import { RESTING, type RuleState, type RuleTiming } from "../../../daemon/decide.ts";
import { judgeLimits, parseLimit } from "../../../daemon/replay/limits.ts";
import { RecentKeys } from "../../../daemon/replay/recent-keys.ts";
import { replayStep } from "../../../daemon/replay/rule-track.ts";
import { Spread } from "../../../daemon/replay/spread.ts";
import { Timeline } from "../../../daemon/replay/timeline.ts";
import { toldStep } from "../../../daemon/replay/told-step.ts";

test("one clock goes over restarts by boot time, and over reboots by the wall clock", () => {
  const line = new Timeline();
  expect(line.at(1, 10_000, 1_000_000)).toBe(10_000);
  // The wall clock is set ahead by an hour within one start.
  expect(line.at(1, 11_000, 4_601_000)).toBe(11_000);
  // The daemon starts again in the same boot.
  expect(line.at(2, 15_000, 4_605_000)).toBe(15_000);
  // The machine starts again: 60 s later by the wall clock.
  expect(line.at(3, 2000, 4_665_000)).toBe(75_000);
  expect(line.at(3, 3000, 4_666_000)).toBe(76_000);
  // And once more, with a wall clock that went back: no time passes.
  expect(line.at(4, 500, 1_000_000)).toBe(76_000);
});

const timing: RuleTiming = { forMs: 0, cooldownMs: 0, hasClear: false, keepsLastFired: false, countsPasses: false };

test("what a line says of a rule is read as the step that was taken", () => {
  const state = { sinceMs: null, firing: true, lastFiredMs: 1500, passes: 0, failing: false };
  const step = (why: string, before: unknown, rule = timing) => toldStep(why, why === "fired", before, rule, 10_000);
  expect(step("condition false", undefined)).toEqual({ kind: "quiet", before: RESTING, after: RESTING, truth: false });
  expect(step("fired", undefined)).toMatchObject({ kind: "fired", truth: true, after: { lastFiredBootMs: 10_000 } });
  expect(step("still firing", state)).toMatchObject({ kind: "firing", truth: true, before: { lastFiredBootMs: 8500 } });
  expect(step("cleared", state)).toMatchObject({ kind: "cleared", truth: false, after: { firing: false } });
  const clears = { ...timing, hasClear: true };
  expect(step("cleared", state, clears)).toMatchObject({ truth: true });
  expect(step("still firing", state, clears)).toMatchObject({ truth: false });
  expect(step("holding 1 of 5 s", undefined)).toMatchObject({ kind: "holding", after: { sinceBootMs: 10_000 } });
  expect(step("cooldown 3 s left", undefined)).toMatchObject({ kind: "cooling", truth: true });
  expect(step("error: x has no value", undefined)).toMatchObject({ kind: "failed", truth: undefined });
});

test("a candidate in step with the recorded rule follows what it did in passes that were not written down", () => {
  const firing: RuleState = { ...RESTING, firing: true, lastFiredBootMs: 1000 };
  const track = { candidate: firing, recorded: firing };
  const quiet = (truth: boolean) => ({
    timing,
    step: toldStep(truth ? "fired" : "condition false", truth, undefined, timing, 9000),
    isRounded: false,
  });
  const kind = (mine: boolean, then: boolean) => replayStep(track, quiet(then), timing, () => mine, 9000).kind;
  // It cleared in between, and the next firing is a new one.
  expect(kind(true, true)).toBe("fired");
  expect(kind(false, false)).toBe("quiet");
  // A lower threshold still holds where the recorded one does not: it has been firing all along.
  expect(kind(true, false)).toBe("firing");
});

test("keys that were seen last are kept", () => {
  const keys = new RecentKeys<number>(2);
  for (const [at, key] of ["a", "b", "a", "c"].entries()) keys.set(key, at);
  expect([keys.get("a"), keys.get("b"), keys.get("c"), keys.evicted]).toEqual([2, undefined, 3, 1]);
  keys.set("a", undefined);
  keys.set("d", 4);
  expect([keys.get("a"), keys.get("c"), keys.evicted]).toEqual([undefined, 3, 1]);
});

test("quantiles of differences are told to five percent, the largest exactly", () => {
  const spread = new Spread();
  expect([spread.quantile(0.5), spread.largest]).toEqual([0, 0]);
  for (let size = 1; size <= 1000; size++) spread.add(size / 1000);
  expect(spread.largest).toBe(1);
  expect(Math.abs(spread.quantile(0.5) - 0.5)).toBeLessThan(0.026);
  expect(Math.abs(spread.quantile(0.99) - 0.99)).toBeLessThan(0.05);
  expect(spread.quantile(1)).toBeLessThanOrEqual(1);
});

test("a limit is a whole number or a share", () => {
  expect(["20", "0", "1%", "0.5 %", "1.5", "-1", "x", "%"].map((text) => parseLimit(text)?.amount)).toEqual([
    20,
    0,
    1,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  const counts = { count: 3, of: 200 };
  const all = {
    difference: counts,
    more: counts,
    fewer: { count: 0, of: 0 },
    denied: { count: 1, of: 0 },
    permitted: counts,
  };
  const limits = Object.fromEntries(
    [
      ["difference", "1.5%"],
      ["more", "2"],
      ["fewer", "0%"],
      ["denied", "50%"],
    ].map(([name, text]) => [name, parseLimit(text as string)]),
  );
  expect(judgeLimits(limits, all).map((one) => [one.name, one.passed])).toEqual([
    ["difference", true],
    ["more", false],
    ["fewer", true],
    ["denied", false],
  ]);
});
