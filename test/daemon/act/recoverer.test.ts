import { describe, expect, test } from "vitest";
import { deadlineIn } from "../../../daemon/act/deadline.ts";
import { Readings } from "../../../daemon/act/readings.ts";
import { Recoverer } from "../../../daemon/act/recoverer.ts";
import type { ToolPlan } from "../../../daemon/act/tool-plan.ts";
import { planOf, StillClock } from "../../support/act.ts";

const POLICY = "0123456789abcdef";
const ID = "01900000-0000-7000-8000-000000000001";
const TOOL = { class: "reversible", idempotent: true };

/** What becomes of one action that an earlier start left open, and of those that come up with it. */
async function recovered(kind: "intent" | "proposal", plan: ToolPlan, policyDigest = POLICY): Promise<string[]> {
  const clock = new StillClock();
  const executeBefore = deadlineIn(60_000, clock.wallMs(), clock);
  const made = {
    ...{ v: 1, kind, id: ID, agent: "guard", key: "p1", rule: "hot", tool: "stop", target: "plant/p1/command" },
    ...{ arguments: { pump: "p1" }, class: "reversible", verdict: { effect: "permit", rules: [] }, policy: POLICY },
    ...{ executeBefore, approveBefore: executeBefore, needs: 1, idempotencyKey: ID },
    ...(kind === "proposal" ? { state: "awaitingApproval" } : {}),
  };
  const text = JSON.stringify(made);
  const became: string[] = [];
  const recoverer = new Recoverer(
    {
      clock,
      plans: new Map([["stop", plan]]),
      bus: { connected: async () => undefined },
      readings: new Readings(clock, () => false),
      signal: new AbortController().signal,
      policyDigest,
    },
    {
      wait: () => became.push("waits"),
      keep: () => became.push("kept"),
      close: (_action, { state, reason }) => became.push(`${state}: ${reason}`),
      again: (_action, attempt) => became.push(`again ${attempt}`),
    },
  );
  const intent = kind === "intent" ? text : undefined;
  recoverer.run([{ first: text, intent, last: undefined, approvals: [] }], "crash");
  await new Promise((resolve) => setImmediate(resolve));
  return became;
}

describe("what was left open under another configuration", () => {
  const unknown = ["unknown: the tool is not there any more, or another one"];

  test("goes on where nothing has changed", async () => {
    expect(await recovered("intent", planOf("stop", TOOL))).toEqual(["again 2"]);
    expect(await recovered("proposal", planOf("stop", TOOL))).toEqual(["waits"]);
  });

  test("is not sent again where the tool needs an argument that it did not", async () => {
    const verify = { topic: "plant/{line}/{pump}/state", when: "payload.running == false", withinSeconds: 1 };
    expect(await recovered("intent", planOf("stop", { ...TOOL, verify }))).toEqual(unknown);
  });

  test("is not sent again where the tool is about something else, or matters more", async () => {
    const moved = planOf("stop", { ...TOOL, topic: "hall/{pump}/command" });
    const heavy = planOf("stop", { ...TOOL, class: "critical" });
    for (const plan of [moved, heavy]) {
      expect(await recovered("intent", plan)).toEqual(unknown);
      expect(await recovered("proposal", plan)).toEqual(["denied: the tool is another one now"]);
    }
  });

  test("is not sent again under a policy that did not permit it", async () => {
    const became = await recovered("intent", planOf("stop", TOOL), "fedcba9876543210");
    expect(became).toEqual(["unknown: the daemon ended before it was known"]);
  });
});
