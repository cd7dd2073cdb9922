import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asksClear, RESTING, type RuleState, type RuleTiming, stepRule } from "../../daemon/decide.ts";

const plain: RuleTiming = { forMs: 0, cooldownMs: 0, hasClear: false, keepsLastFired: false, countsPasses: false };

/** What the conditions say at one moment; undefined for an error. */
interface Moment {
  readonly atMs: number;
  readonly when: boolean | undefined;
  readonly clear: boolean | undefined;
}

/** Kinds of all steps over a history. */
function run(timing: RuleTiming, history: readonly Moment[]): { kinds: string[]; states: RuleState[] } {
  let state = RESTING;
  const kinds: string[] = [];
  const states: RuleState[] = [];
  for (const { atMs, when, clear } of history) {
    const step = stepRule(timing, state, asksClear(timing, state) ? clear : when, atMs);
    kinds.push(step.kind);
    state = step.state;
    states.push(state);
  }
  return { kinds, states };
}

const seconds = (...answers: readonly (boolean | undefined)[]): Moment[] =>
  answers.map((when, at) => ({ atMs: at * 1000, when, clear: when === undefined ? undefined : !when }));

describe("a rule", () => {
  test("fires once while its condition holds", () => {
    expect(run(plain, seconds(false, true, true, true, false, true)).kinds).toEqual([
      "quiet",
      "fired",
      "firing",
      "firing",
      "cleared",
      "fired",
    ]);
  });

  test("waits until the condition has held for long enough", () => {
    const timing = { ...plain, forMs: 2000 };
    expect(run(timing, seconds(true, true, true, true)).kinds).toEqual(["holding", "holding", "fired", "firing"]);
    expect(run(timing, seconds(true, true, false, true, true)).kinds).toEqual([
      "holding",
      "holding",
      "quiet",
      "holding",
      "holding",
    ]);
  });

  test("stays firing until what clears it holds", () => {
    const timing = { ...plain, hasClear: true };
    const history: Moment[] = [
      { atMs: 0, when: true, clear: false },
      { atMs: 1, when: false, clear: false },
      { atMs: 2, when: true, clear: false },
      { atMs: 3, when: true, clear: true },
      { atMs: 4, when: true, clear: true },
    ];
    expect(run(timing, history).kinds).toEqual(["fired", "firing", "firing", "cleared", "fired"]);
  });

  test("does not fire again before its cooldown is over, and then without holding anew", () => {
    const timing = { ...plain, cooldownMs: 3000 };
    expect(run(timing, seconds(true, false, true, true, true, true)).kinds).toEqual([
      "fired",
      "cleared",
      "cooling",
      "fired",
      "firing",
      "firing",
    ]);
  });

  test("an error neither fires nor clears, and breaks the holding", () => {
    const timing = { ...plain, forMs: 2000 };
    expect(run(timing, seconds(true, true, undefined, true, true, true)).kinds).toEqual([
      "holding",
      "holding",
      "failed",
      "holding",
      "holding",
      "fired",
    ]);
    expect(run(plain, seconds(true, undefined, true, undefined, false)).kinds).toEqual([
      "fired",
      "failed",
      "firing",
      "failed",
      "cleared",
    ]);
  });

  test("remembers nothing when there is nothing to remember", () => {
    const { states } = run({ ...plain, cooldownMs: 1000 }, seconds(true, false, false, false));
    expect(states.at(-1)).toBe(RESTING);
    expect(stepRule(plain, RESTING, false, 5)).toBe(stepRule(plain, RESTING, false, 6));
  });

  test("gives the same state back while nothing changes", () => {
    const fired = stepRule({ ...plain, cooldownMs: 1e6 }, RESTING, true, 0).state;
    expect(stepRule({ ...plain, cooldownMs: 1e6 }, fired, true, 10).state).toBe(fired);
  });

  test("keeps the time of its last firing where an expression asks for it", () => {
    const { states } = run({ ...plain, keepsLastFired: true }, seconds(true, false, false));
    expect(states.at(-1)).toMatchObject({ lastFiredBootMs: 0, firing: false });
  });

  test("counts passes where an expression asks for them", () => {
    const { states } = run({ ...plain, countsPasses: true }, seconds(false, false, undefined, true));
    expect(states.map((state) => state.passes)).toEqual([1, 2, 3, 4]);
  });
});

/**
 * The same rule read off its whole past each time: which firings there were, whether the last was cleared, and since
 * when the condition has held without a break.
 */
function model(timing: RuleTiming, history: readonly Moment[]): string[] {
  const kinds: string[] = [];
  for (const [now, moment] of history.entries()) {
    const lastFired = kinds.lastIndexOf("fired");
    const isFiring = lastFired > kinds.lastIndexOf("cleared");
    const asked = isFiring && timing.hasClear ? moment.clear : moment.when;
    const kind = () => {
      if (asked === undefined) return "failed";
      if (isFiring) return asked === timing.hasClear ? "cleared" : "firing";
      if (!asked) return "quiet";
      // Holding begins anew after each firing's end.
      let since = now;
      for (
        let at = now - 1;
        at >= 0 && history[at]?.when === true && !["fired", "firing", "cleared", "failed"].includes(kinds[at] ?? "");
        at--
      )
        since = at;
      if (moment.atMs - (history[since] as Moment).atMs < timing.forMs) return "holding";
      const isCooling = lastFired >= 0 && moment.atMs - (history[lastFired] as Moment).atMs < timing.cooldownMs;
      return isCooling ? "cooling" : "fired";
    };
    kinds.push(kind());
  }
  return kinds;
}

const answers = fc.constantFrom(true, false, undefined);
const histories = fc
  .array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 2000 }),
      when: fc.oneof(fc.constant(true), answers),
      clear: answers,
    }),
    { maxLength: 60 },
  )
  .map((moments) => {
    let atMs = 0;
    return moments.map(({ afterMs, when, clear }): Moment => {
      atMs += afterMs;
      return { atMs, when, clear };
    });
  });
const timings = fc.record({
  forMs: fc.constantFrom(0, 1, 1500, 4000),
  cooldownMs: fc.constantFrom(0, 1, 3000, 20_000),
  hasClear: fc.boolean(),
  keepsLastFired: fc.boolean(),
  countsPasses: fc.boolean(),
});

test("over any history a rule does what its whole past says", () => {
  fc.assert(
    fc.property(timings, histories, (timing, history) => {
      expect(run(timing, history).kinds).toEqual(model(timing, history));
    }),
    { numRuns: 1000 },
  );
});

test("two firings of a rule are never closer than its cooldown, and always parted by a clearing", () => {
  fc.assert(
    fc.property(timings, histories, (timing, history) => {
      const { kinds } = run(timing, history);
      let firedMs: number | undefined;
      let isCleared = true;
      for (const [at, kind] of kinds.entries()) {
        if (kind === "cleared") isCleared = true;
        if (kind !== "fired") continue;
        const { atMs } = history[at] as Moment;
        expect(isCleared).toBe(true);
        if (firedMs !== undefined) expect(atMs - firedMs).toBeGreaterThanOrEqual(timing.cooldownMs);
        firedMs = atMs;
        isCleared = false;
      }
    }),
    { numRuns: 500 },
  );
});
