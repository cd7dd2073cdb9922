import { describe, expect, test } from "vitest";
import { Approvals } from "../../../daemon/act/approvals.ts";
import { afterTry, CLOSED, mayTry, tried } from "../../../daemon/act/breaker.ts";
import { deadlineIn } from "../../../daemon/act/deadline.ts";
import { Exclusion } from "../../../daemon/act/exclusion.ts";
import { Readings } from "../../../daemon/act/readings.ts";
import { type RecoveryFacts, recover } from "../../../daemon/act/recovery.ts";
import { outcomeRecord } from "../../../daemon/act/steps.ts";
import { fillTopic, fillValue } from "../../../daemon/act/template.ts";
import { planOf, StillClock } from "../../support/act.ts";

describe("a template", () => {
  test("keeps a number a number, and puts it into text where text is due", () => {
    expect(fillValue({ level: "{level}", text: "to {level} %", list: ["{on}"] }, { level: 40.5, on: true })).toEqual({
      level: 40.5,
      text: "to 40.5 %",
      list: [true],
    });
  });

  test.each(["a/b", "+", "#", "", "x\u0000", "\ud800", "a\nb"])("refuses %j as a level of a topic", (pump) => {
    expect(fillTopic("plant/{pump}/command", { pump })).toBeUndefined();
  });

  test("refuses a topic of the broker's own, and one that is too long", () => {
    expect(fillTopic("{a}/x", { a: "$SYS" })).toBeUndefined();
    expect(fillTopic("{a}", { a: "x".repeat(2000) })).toBeUndefined();
    expect(fillTopic("plant/{pump}/command", { pump: "p 1" })).toBe("plant/p 1/command");
  });
});

describe("a breaker", () => {
  const limits = { failures: 3, openMs: 1000 };

  test("opens after so many failures in a row, lets one try through after its rest, and closes when that works", () => {
    let state = CLOSED;
    for (let n = 0; n < 2; n++) state = afterTry(state, limits, false, 0);
    expect(mayTry(state, 0)).toBe(true);
    state = afterTry(state, limits, false, 0);
    expect(mayTry(state, 999)).toBe(false);
    expect(mayTry(state, 1000)).toBe(true);
    state = tried(state);
    expect(mayTry(state, 1000)).toBe(false);
    expect(afterTry(state, limits, true, 1500)).toEqual(CLOSED);
    expect(mayTry(afterTry(state, limits, false, 1500), 2000)).toBe(false);
  });

  test("learns nothing from what never left", () => {
    const open = tried(afterTry({ ...CLOSED, failures: 2 }, limits, false, 0));
    expect(mayTry(afterTry(open, limits, undefined, 1200), 1200)).toBe(true);
    expect(afterTry(CLOSED, limits, undefined, 0)).toEqual(CLOSED);
  });
});

describe("targets that exclude each other", () => {
  const plan = planOf("open", { interlocks: { exclusive: { group: "main", holdSeconds: 60 } } });
  const withKept = (clock: StillClock, kept: Record<string, string>): Exclusion =>
    new Exclusion(
      {
        clock,
        keep: (scope, state) => {
          if (state !== null) kept[scope] = state;
        },
      },
      [plan],
      { ...kept },
    );

  test("are held while an action is open, and for their time after it", () => {
    const clock = new StillClock();
    const exclusion = withKept(clock, {});
    exclusion.take(plan, "v1", "a1");
    clock.pass(3_600_000);
    expect(exclusion.refusal(plan, "v2")).toContain("exclusive");
    expect(exclusion.refusal(plan, "v1")).toBeUndefined();
    exclusion.done(plan, "a1");
    clock.pass(59_000);
    expect(exclusion.refusal(plan, "v2")).toContain("exclusive");
    clock.pass(2000);
    expect(exclusion.refusal(plan, "v2")).toBeUndefined();
  });

  test("are held over a restart, and let go when nothing of them is open any more", () => {
    const clock = new StillClock();
    const kept: Record<string, string> = {};
    withKept(clock, kept).take(plan, "v1", "a1");
    clock.pass(3_600_000);
    const again = withKept(clock, kept);
    expect(again.refusal(plan, "v2")).toContain("exclusive");
    again.settle(new Set());
    clock.pass(61_000);
    expect(again.refusal(plan, "v2")).toBeUndefined();
  });

  test("stay held by what was begun before it was known what an earlier start left open", () => {
    const clock = new StillClock();
    const kept: Record<string, string> = {};
    withKept(clock, kept).take(plan, "v1", "a1");
    const again = withKept(clock, kept);
    again.take(plan, "v1", "a2");
    again.settle(new Set());
    clock.pass(3_600_000);
    expect(again.refusal(plan, "v2")).toContain("exclusive");
    again.done(plan, "a2");
    clock.pass(61_000);
    expect(again.refusal(plan, "v2")).toBeUndefined();
  });

  test("are held by somebody unknown when it can not be read by whom", () => {
    const clock = new StillClock();
    const exclusion = withKept(clock, { "group/main": "{torn" });
    expect(exclusion.refusal(plan, "v1")).toContain("exclusive");
    clock.pass(61_000);
    expect(exclusion.refusal(plan, "v1")).toBeUndefined();
  });
});

describe("readings", () => {
  const plan = planOf("open", {
    interlocks: { requires: [{ topic: "plant/{pump}/pressure", when: "payload.bar < 6", maxAgeSeconds: 10 }] },
    verify: { topic: "plant/{pump}/state", when: "payload.running == false", withinSeconds: 3 },
  });
  const said = (readings: Readings, topic: string, payload: unknown, retained = false): void =>
    readings.heard({ topic, payload: Buffer.from(JSON.stringify(payload)), retained });

  test("say no when nothing was heard, when it is old, when it is of an unknown age, and when it says no", () => {
    const clock = new StillClock();
    const readings = new Readings(clock, (topic) => topic.endsWith("/pressure"));
    const ask = (): string | undefined => readings.refusal(plan, { pump: "p1" });
    expect(ask()).toContain("nothing was heard");
    said(readings, "plant/p1/pressure", { bar: 5 }, true);
    expect(ask()).toContain("nothing was heard");
    said(readings, "plant/p2/pressure", { bar: 5 });
    expect(ask()).toContain("nothing was heard");
    said(readings, "plant/p1/pressure", { bar: 5 });
    expect(ask()).toBeUndefined();
    clock.pass(10_001);
    expect(ask()).toContain("10 s old");
    said(readings, "plant/p1/pressure", { bar: 7 });
    expect(ask()).toContain("says no");
    said(readings, "plant/p1/pressure", { bar: "many" });
    expect(ask()).toContain("says no (");
    said(readings, "plant/p1/pressure", "ON");
    expect(ask()).toContain("says no (");
  });

  test("show an effect only by a live message that comes while somebody waits for it", async () => {
    const readings = new Readings(new StillClock(), () => false);
    const over = new AbortController();
    const wait = (): Promise<unknown> =>
      readings.shown(plan.verify as NonNullable<typeof plan.verify>, { pump: "p1" }, 60_000, over.signal);
    said(readings, "plant/p1/state", { running: false });
    const waiting = wait();
    said(readings, "plant/p1/state", { running: false }, true);
    said(readings, "plant/p1/state", { running: true });
    said(readings, "plant/p2/state", { running: false });
    said(readings, "plant/p1/state", { running: false, n: 2 });
    expect(await waiting).toEqual({ payload: { running: false, n: 2 } });
    const unheard = wait();
    over.abort();
    expect(await unheard).toBeUndefined();
  });
});

describe("what an earlier start left open", () => {
  const sent: RecoveryFacts = {
    isDiscontinuous: false,
    isSameBoot: true,
    hasTool: true,
    isSamePolicy: true,
    isHandoff: false,
    isIdempotent: false,
    hasReadback: false,
    isDryRun: false,
    lastState: "sent",
  };

  test("is sent again only where twice is the same as once, in the same boot", () => {
    expect(recover(sent)).toMatchObject({ kind: "close", state: "unknown" });
    expect(recover({ ...sent, isIdempotent: true })).toEqual({ kind: "again" });
    expect(recover({ ...sent, isIdempotent: true, isSameBoot: false })).toMatchObject({ state: "unknown" });
    expect(recover({ ...sent, isIdempotent: true, isDiscontinuous: true })).toMatchObject({ state: "unknown" });
    expect(recover({ ...sent, isIdempotent: true, hasTool: false })).toMatchObject({ state: "unknown" });
    expect(recover({ ...sent, isIdempotent: true, isSamePolicy: false })).toMatchObject({ state: "unknown" });
  });

  test("is asked of the plant where there is a readback", () => {
    expect(recover({ ...sent, hasReadback: true })).toEqual({ kind: "ask", otherwise: "unknown" });
    expect(recover({ ...sent, hasReadback: true, isIdempotent: true })).toEqual({ kind: "ask", otherwise: "again" });
    expect(recover({ ...sent, hasReadback: true, isIdempotent: true, lastState: "acknowledged" })).toEqual({
      kind: "ask",
      otherwise: "unverified",
    });
  });
});

describe("the record of a step", () => {
  const written = (readback: unknown, reason = ""): { readback: unknown; reason: string } => {
    const deps = { clock: new StillClock(), newId: () => "id", agentNumber: () => 1 };
    const intent = { arguments: { bed: "bed-4", name: "joe miller" }, private: ["name"] };
    const action = { id: "action", proposedBootMs: undefined, intent };
    return JSON.parse(outcomeRecord(action, "guard", { state: "verified", readback, reason }, deps).body);
  };

  test("quotes nothing of a private field, whoever said it", () => {
    const said = written({ lamp: "for joe miller" }, "exit 1: no joe miller in bed-4");
    expect(said).toMatchObject({ readback: "(private)", reason: "exit 1: no (private) in bed-4" });
    expect(written({ lamp: "on", bed: "bed-4" }).readback).toEqual({ lamp: "on", bed: "bed-4" });
  });

  test("takes whatever the plant says, and only so much of it", () => {
    expect(written({ running: false }).readback).toEqual({ running: false });
    expect(written("x".repeat(70_000)).readback).toHaveLength(1025);
    const deep = `{"running":false,"deep":${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
    expect(written(JSON.parse(deep)).readback).toBe("(nested too deeply)");
  });
});

describe("an answer to a proposal", () => {
  const plan = planOf("purge", { class: "critical" });
  function book(
    approvers: Set<string>,
    clock = new StillClock(),
  ): { approvals: Approvals; clock: StillClock; id: string } {
    const approvals = new Approvals({ clock, isApprover: (name) => approvers.has(name) });
    const id = "01900000-0000-7000-8000-000000000001";
    const approveBefore = deadlineIn(60_000, clock.wallMs(), clock);
    const proposal = { id, by: "joe", needs: 2, approveBefore } as never;
    approvals.wait({ id, proposal, plan, given: [], trace: undefined });
    return { approvals, clock, id };
  }
  const yes = (proposal: string, by: string | undefined) => ({ proposal, by, decision: "approved" as const });

  test("counts once, from two different people who may, and not from who proposed it", () => {
    const { approvals, id } = book(new Set(["maria", "joe", "ann"]));
    expect(approvals.weigh(yes(id, "joe"))).toMatchObject({
      kind: "refused",
      reason: "nobody approves what they proposed",
    });
    expect(approvals.weigh(yes(id, undefined))).toMatchObject({ kind: "refused" });
    expect(approvals.weigh(yes(id, "eve"))).toMatchObject({ kind: "refused", reason: "eve may not approve" });
    expect(approvals.weigh(yes("another", "maria"))).toMatchObject({
      kind: "refused",
      reason: "nothing waits under this id",
    });
    expect(approvals.weigh(yes(id, "maria"))).toMatchObject({ kind: "more" });
    expect(approvals.weigh(yes(id, "maria"))).toMatchObject({ kind: "refused" });
    expect(approvals.weigh(yes(id, "ann"))).toMatchObject({ kind: "enough" });
    approvals.close(id);
    expect(approvals.weigh(yes(id, "ann"))).toMatchObject({ kind: "refused", reason: "it is decided already" });
  });

  test("of somebody who was removed meanwhile does not count any more", () => {
    const approvers = new Set(["maria", "ann"]);
    const { approvals, id } = book(approvers);
    expect(approvals.weigh(yes(id, "maria"))).toMatchObject({ kind: "more" });
    approvers.delete("maria");
    expect(approvals.weigh(yes(id, "ann"))).toMatchObject({ kind: "more" });
  });

  test("that comes too late is none", () => {
    const { approvals, clock, id } = book(new Set(["maria"]));
    clock.pass(60_000);
    expect(approvals.weigh(yes(id, "maria"))).toMatchObject({ reason: "the time to approve is over" });
    expect(approvals.late()).toHaveLength(1);
  });

  test("is over after a reboot with a clock that nobody can believe", () => {
    const clock = new StillClock();
    const { approvals } = book(new Set(["maria"]), clock);
    clock.bootId = "another-boot-id";
    expect(approvals.late()).toHaveLength(0);
    clock.nowTrust = "unknown";
    expect(approvals.late()).toHaveLength(1);
  });
});
