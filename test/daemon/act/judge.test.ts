import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { modes } from "../../../config/gateway.ts";
import { type Facts, judge } from "../../../daemon/act/judge.ts";
import { actionClasses, policyEffects } from "../../../sync/records.ts";

const facts = fc.record({
  class: fc.constantFrom(...actionClasses),
  safeDirection: fc.boolean(),
  isLatched: fc.boolean(),
  effect: fc.constantFrom(...policyEffects),
  mode: fc.constantFrom(...modes),
  off: fc.constantFrom("agentOff" as const, "toolOff" as const, undefined),
  limit: fc.constantFrom("perMinute", undefined),
  isApproved: fc.boolean(),
});

type Made = (typeof facts)["generate"] extends (...args: never[]) => { value_: infer T } ? T : never;

function asked({ effect, limit, ...rest }: Made): ReturnType<typeof judge> {
  const verdict = { effect, rules: [], errors: [] };
  return judge({ ...rest, verdict, limits: () => limit } as Facts);
}

describe("judging an action", () => {
  test("lets nothing through that something stronger refuses", () => {
    fc.assert(
      fc.property(facts, (made) => {
        const { state, needs } = asked(made);
        if (state !== "intended" && state !== "awaitingApproval") return;
        expect(made.isLatched && made.class !== "notify").toBe(false);
        expect(["permit", "requireApproval"]).toContain(made.effect);
        expect(made.off).toBeUndefined();
        expect(made.mode).not.toBe("observe");
        expect(made.limit).toBeUndefined();
        if (state === "awaitingApproval") expect(needs).toBeGreaterThan(0);
      }),
      { numRuns: 5000 },
    );
  });

  test("asks people for what is critical or required, and for everything in mode approve, but not for the safe direction", () => {
    fc.assert(
      fc.property(facts, (made) => {
        const { state } = asked(made);
        if (state !== "intended") return;
        const asks =
          made.class === "critical" ||
          made.effect === "requireApproval" ||
          (made.mode === "approve" && made.class !== "notify");
        if (asks) expect(made.safeDirection || made.isApproved).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  test("names the strongest reason there is", () => {
    const all = {
      class: "critical",
      safeDirection: false,
      isApproved: false,
      mode: "observe",
      off: "toolOff",
    } as const;
    const of = (isLatched: boolean, effect: "forbid" | "permit"): string | undefined =>
      judge({ ...all, isLatched, verdict: { effect, rules: [], errors: [] }, limits: () => "perMinute" }).reason;
    expect(of(true, "forbid")).toBe("latched");
    expect(of(false, "forbid")).toBe("forbidden");
    expect(of(false, "permit")).toBe("toolOff");
  });

  test("does not ask for limits when the policy says no", () => {
    let isAsked = false;
    const limits = (): undefined => {
      isAsked = true;
      return undefined;
    };
    const rest = {
      class: "reversible",
      safeDirection: true,
      isLatched: false,
      mode: "auto",
      off: undefined,
      isApproved: false,
    } as const;
    judge({ ...rest, verdict: { effect: "deny", rules: [], errors: [] }, limits });
    expect(isAsked).toBe(false);
  });

  test("wants two people for what is critical", () => {
    const rest = {
      class: "critical",
      safeDirection: false,
      isLatched: false,
      mode: "auto",
      off: undefined,
      isApproved: false,
    } as const;
    const verdict = { effect: "permit" as const, rules: [], errors: [] };
    expect(judge({ ...rest, verdict, limits: () => undefined })).toEqual({
      state: "awaitingApproval",
      reason: undefined,
      needs: 2,
    });
  });
});
