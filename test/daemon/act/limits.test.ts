import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NONE_TAKEN, takenIn, takeOne } from "../../../daemon/act/counted.ts";
import { Limits } from "../../../daemon/act/limits.ts";
import { planOf, StillClock } from "../../support/act.ts";

function limitsWith(
  clock: StillClock,
  kept: Record<string, string> = {},
  ceiling = 1000,
): { limits: Limits; kept: Record<string, string> } {
  const keep = (scope: string, state: string | null): void => {
    if (state === null) delete kept[scope];
    else kept[scope] = state;
  };
  return { limits: new Limits({ clock, keep }, ceiling, { ...kept }), kept };
}

describe("a count over a window", () => {
  test("never lets more through in any window than the limit, whenever it is asked", () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 120 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 8 }), (waits, most) => {
        let counted = NONE_TAKEN;
        let now = 5_000_000;
        const taken: number[] = [];
        for (const wait of waits) {
          now += wait;
          if (takenIn(counted, 60_000, now) >= most) continue;
          counted = takeOne(counted, 60_000, now);
          taken.push(now);
        }
        for (const from of taken)
          expect(taken.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(most);
      }),
      { numRuns: 500 },
    );
  });

  test("is held back by at most a sixtieth of its window more than it has to", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), (now) => {
        const counted = takeOne(NONE_TAKEN, 60_000, now);
        expect(takenIn(counted, 60_000, now + 59_999)).toBe(1);
        expect(takenIn(counted, 60_000, now + 61_001)).toBe(0);
      }),
    );
  });
});

describe("limits", () => {
  const plan = planOf("stop-pump", {
    class: "reversible",
    limits: { perMinute: 3, perTargetPerHour: 2, minimumSecondsBetween: 5 },
  });

  test("hold per tool, per target and between two for one target", () => {
    const clock = new StillClock();
    const { limits } = limitsWith(clock);
    const p1 = { plan, target: "p1", isDry: false };
    const p2 = { plan, target: "p2", isDry: false };
    expect(limits.refusal(p1)).toBeUndefined();
    limits.take(p1);
    expect(limits.refusal(p1)).toBe("minimumSecondsBetween");
    expect(limits.refusal(p2)).toBeUndefined();
    clock.pass(6000);
    limits.take(p1);
    clock.pass(6000);
    expect(limits.refusal(p1)).toBe("perTargetPerHour");
    limits.take(p2);
    clock.pass(6000);
    expect(limits.refusal(p2)).toBe("perMinute");
  });

  test("outlive a restart, and a reboot by a clock that can be believed", () => {
    const clock = new StillClock();
    const { limits, kept } = limitsWith(clock);
    const use = { plan, target: "p1", isDry: false };
    limits.take(use);
    clock.pass(3000);
    expect(limitsWith(clock, kept).limits.refusal(use)).toBe("minimumSecondsBetween");
    const rebooted = new StillClock("another-boot");
    rebooted.nowBootMs = 20_000;
    rebooted.nowWallMs = clock.nowWallMs + 1000;
    expect(limitsWith(rebooted, kept).limits.refusal(use)).toBe("minimumSecondsBetween");
    rebooted.pass(6000);
    expect(limitsWith(rebooted, kept).limits.refusal(use)).toBeUndefined();
  });

  test("begin anew, in full, after a reboot with a clock that nobody can believe", () => {
    const clock = new StillClock();
    const { limits, kept } = limitsWith(clock);
    const use = { plan, target: "p1", isDry: false };
    limits.take(use);
    const rebooted = new StillClock("another-boot");
    rebooted.nowTrust = "unsynced";
    rebooted.nowWallMs = 86_400_000;
    expect(limitsWith(rebooted, kept).limits.refusal(use)).toBe("minimumSecondsBetween");
  });

  test("that can not be read hold as if they were used up", () => {
    const clock = new StillClock();
    const { limits } = limitsWith(clock, { "all/minute/stop-pump/taken": "{torn" });
    expect(limits.refusal({ plan, target: "p9", isDry: false })).toBe("perMinute");
    clock.pass(62_000);
    expect(limits.refusal({ plan, target: "p9", isDry: false })).toBeUndefined();
  });

  test("count what leaves apart from what was written down: what waited does not leave in a heap", () => {
    const clock = new StillClock();
    const { limits } = limitsWith(clock);
    const use = { plan, target: "p1", isDry: false };
    limits.take(use);
    clock.pass(5100);
    limits.take(use);
    expect(limits.leave(use)).toBeUndefined();
    expect(limits.leave(use)).toBe("minimumSecondsBetween");
    clock.pass(5100);
    expect(limits.leave(use)).toBeUndefined();
  });

  test("have a ceiling over all tools, which notifications do not use up", () => {
    const clock = new StillClock();
    const { limits } = limitsWith(clock, {}, 2);
    const tell = planOf("tell", { kind: "notify" });
    const one = planOf("one", { class: "reversible" });
    const other = planOf("other", { class: "reversible" });
    for (let n = 0; n < 10; n++) limits.take({ plan: tell, target: "", isDry: false });
    limits.take({ plan: one, target: "a", isDry: false });
    limits.take({ plan: other, target: "b", isDry: false });
    expect(limits.refusal({ plan: one, target: "c", isDry: false })).toBe("effectsPerMinute");
    expect(limits.refusal({ plan: tell, target: "", isDry: false })).toBeUndefined();
  });

  test("are rehearsed apart: a dry run uses up nothing that counts", () => {
    const clock = new StillClock();
    const { limits } = limitsWith(clock);
    limits.take({ plan, target: "p1", isDry: true });
    expect(limits.refusal({ plan, target: "p1", isDry: true })).toBe("minimumSecondsBetween");
    expect(limits.refusal({ plan, target: "p1", isDry: false })).toBeUndefined();
  });

  test("of up to a minute are used up when the log went back to an older state, and only for so long", () => {
    const clock = new StillClock();
    const limits = new Limits({ clock, keep: () => undefined }, 1000, {}, clock.bootMs());
    const use = { plan, target: "p1", isDry: false };
    expect(limits.refusal(use)).toBe("perMinute");
    expect(limits.leave(use)).toBe("perMinute");
    clock.pass(60_001);
    expect(limits.refusal(use)).toBeUndefined();
    const free = planOf("free", { class: "reversible" });
    expect(
      new Limits({ clock, keep: () => undefined }, 1000, {}, clock.bootMs()).refusal({ ...use, plan: free }),
    ).toBeUndefined();
  });

  test("of targets that are long gone are forgotten", () => {
    const clock = new StillClock();
    const { limits, kept } = limitsWith(clock);
    for (let n = 0; n < 100; n++) {
      limits.take({ plan: planOf(`t${n}`, { limits: { perMinute: 5 } }), target: `p${n}`, isDry: false });
    }
    clock.pass(3_700_000);
    limits.forget();
    expect(Object.keys(kept)).toEqual([]);
  });

  test("count over a restart what left late, and what was tried again", () => {
    const clock = new StillClock();
    const { limits, kept } = limitsWith(clock);
    const rare = planOf("rare", { class: "reversible", limits: { perMinute: 2 } });
    const use = { plan: rare, target: "p1", isDry: false };
    limits.take(use);
    clock.pass(50_000);
    expect([limits.leave(use), limits.leave(use)]).toEqual([undefined, undefined]);
    clock.pass(20_000);
    const { limits: again } = limitsWith(clock, kept);
    expect(again.leave(use)).toBe("perMinute");
    clock.pass(42_000);
    expect(again.leave(use)).toBeUndefined();
    clock.pass(120_000);
    again.forget();
    expect(kept).toEqual({});
  });

  test("count what may have left just before an earlier start ended", () => {
    const { limits } = limitsWith(new StillClock());
    const rare = planOf("rare", { class: "reversible", limits: { perMinute: 1 } });
    limits.mayHaveLeft({ plan: rare, target: "p1", isDry: false });
    expect(limits.leave({ plan: rare, target: "p1", isDry: false })).toBe("perMinute");
  });
});
