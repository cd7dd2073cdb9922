import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Clock, ClockTrust } from "../../daemon/clock.ts";
import { RESTING, type RuleState } from "../../daemon/decide.ts";
import { restoreRuleState, saveRuleState } from "../../daemon/rule-memory.ts";

function clockAt(bootId: string, bootMs: number, wallMs: number, trust: ClockTrust = "synced"): Clock {
  return { bootId, bootMs: () => bootMs, wallMs: () => wallMs, trust: () => trust };
}

const state: RuleState = { sinceBootMs: 90_000, firing: true, lastFiredBootMs: 40_000, passes: 7, failing: false };
const before = clockAt("a", 100_000, 1_000_000);
const saved = saveRuleState(state, before) as string;

describe("what a rule remembers", () => {
  test("is the same after a restart in the same boot, whatever the wall clock did", () => {
    expect(restoreRuleState(saved, clockAt("a", 130_000, 5, "unsynced"))).toEqual(state);
  });

  test("goes on by the wall clock after a reboot", () => {
    // 60 s later on the wall, 20 s after the boot.
    const restored = restoreRuleState(saved, clockAt("b", 20_000, 1_060_000));
    expect(restored).toEqual({ ...state, sinceBootMs: 20_000 - 70_000, lastFiredBootMs: 20_000 - 120_000 });
  });

  test.each([
    ["now", "synced", "unsynced", 1_060_000],
    ["then", "unknown", "synced", 1_060_000],
    ["because it went back", "synced", "synced", 900_000],
  ] as const)("holds anew and cools down in full when the clock can not be trusted %s", (_, then, now, wallMs) => {
    const text = saveRuleState(state, clockAt("a", 100_000, 1_000_000, then)) as string;
    const restored = restoreRuleState(text, clockAt("b", 20_000, wallMs, now));
    expect(restored).toEqual({ ...state, sinceBootMs: null, lastFiredBootMs: 20_000 });
  });

  test("takes no room when there is nothing", () => {
    expect(saveRuleState(RESTING, before)).toBeNull();
  });

  test.each([[""], ["{}"], ["null"], ["[]"], ['{"v":2}'], [saved.replace("40000", '"x"')], [saved.slice(0, 20)]])(
    "counts as just fired when it can not be read: %s",
    (text) => {
      expect(restoreRuleState(text, clockAt("b", 20_000, 0))).toEqual({ ...RESTING, lastFiredBootMs: 20_000 });
    },
  );

  test("never lies in the future", () => {
    const time = fc.integer({ min: 0, max: 1e9 });
    fc.assert(
      fc.property(time, time, time, time, fc.constantFrom("a", "b"), (since, fired, nowBootMs, nowWallMs, bootId) => {
        const text = saveRuleState({ ...state, sinceBootMs: since, lastFiredBootMs: fired }, before) as string;
        const restored = restoreRuleState(text, clockAt(bootId, nowBootMs, nowWallMs));
        expect(restored.sinceBootMs ?? 0).toBeLessThanOrEqual(Math.max(0, nowBootMs));
        expect(restored.lastFiredBootMs).toBeLessThanOrEqual(nowBootMs);
      }),
    );
  });
});
