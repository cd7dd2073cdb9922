import { describe, expect, test } from "vitest";
import { Repeats } from "../../../daemon/act/repeats.ts";
import type { Intent } from "../../../sync/records.ts";
import { StillClock } from "../../support/act.ts";

const trigger = { agent: "guard", eventId: "r7", rule: "vent", index: 0 };
const intent = {
  ...{ id: "i1", agent: "guard", decision: "d1", rule: "vent", idempotencyKey: "d1/vent/0", eventId: "r7" },
} as Intent;

describe("an event that may have led to something, and comes again", () => {
  test("does not lead to it again, also after another restart, and is met once", () => {
    const clock = new StillClock();
    const kept: Record<string, string> = {};
    const keep = (scope: string, state: string | null): void => {
      if (state === null) delete kept[scope];
      else kept[scope] = state;
    };
    new Repeats({ clock, keep }, {}).expect(intent);
    const repeats = new Repeats({ clock, keep }, { ...kept, "minute/vent": "{}" });
    for (const other of [{ eventId: "r8" }, { rule: "drain" }, { index: 1 }, { agent: "other" }])
      expect(repeats.meet({ ...trigger, ...other })).toBeUndefined();
    expect(repeats.meet(trigger)).toBe("mayHaveLeft: as i1");
    expect(repeats.meet(trigger)).toBeUndefined();
    expect(kept).toEqual({});
  });

  test("is told by its id: without one nothing is expected", () => {
    const kept: string[] = [];
    const repeats = new Repeats({ clock: new StillClock(), keep: (scope) => kept.push(scope) }, {});
    const { eventId: _e, ...without } = intent;
    repeats.expect(without as Intent);
    expect(kept).toEqual([]);
  });
});
