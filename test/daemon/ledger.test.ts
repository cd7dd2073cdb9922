import fc from "fast-check";
import { expect, test } from "vitest";
import { type DeliveryEnd, Ledger, sumLedgers } from "../../daemon/ledger.ts";

const ends: DeliveryEnd[] = ["accepted", "duplicate", "late", "invalid", "coalesced", "shed"];

class Counted {
  readonly counters: Record<string, number> = {};
  count(_agent: string, counter: string, n: number): void {
    this.counters[counter] = (this.counters[counter] ?? 0) + n;
  }
}

test("both ledgers balance at every step, and go on where the durable counters of an earlier start ended", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("deliver" as const), end: fc.constantFrom(...ends), waits: fc.boolean() }),
    fc.record({ kind: fc.constant("decide" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step), fc.array(step), (first, second) => {
      const before = run(new Counted(), {}, first);
      const after = run(new Counted(), before.counters, second);
      expect(after.ledger.deliveries().accepted).toBe(
        (before.counters["accepted"] ?? 0) + (after.counters["accepted"] ?? 0),
      );
    }),
  );
});

type Step = { kind: "deliver"; end: DeliveryEnd; waits: boolean } | { kind: "decide" };

function run(tally: Counted, restored: Record<string, number>, steps: readonly Step[]) {
  const ledger = new Ledger("a", tally, restored);
  let queued = 0;
  let open = 0;
  ledger.queued = () => queued;
  ledger.inFlight = () => open;
  for (const step of steps) {
    if (step.kind === "deliver") {
      ledger.delivered();
      if (step.waits) queued += 1;
      else {
        if (step.end === "accepted") {
          ledger.accepted();
          ledger.acceptedForGood(0);
          ledger.opened();
          open += 1;
        } else ledger.ended(step.end, 0);
      }
    } else if (open > 0) {
      open -= 1;
      ledger.decided(0, "quiet");
    }
    const { deliveries, passes } = sumLedgers([ledger]);
    const { total, ...parts } = deliveries;
    expect(Object.values(parts).reduce((sum, n) => sum + n, 0)).toBe(total);
    expect(passes.opened).toBe(passes.decided + passes.inFlight);
  }
  return { ledger, counters: tally.counters };
}
