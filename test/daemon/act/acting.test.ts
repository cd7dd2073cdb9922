import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Mode } from "../../../config/gateway.ts";
import { Acting } from "../../../daemon/act/acting.ts";
import { actionLine } from "../../../daemon/act/action-line.ts";
import type { Origin } from "../../../daemon/act/proposer.ts";
import { Reserve } from "../../../daemon/act/reserve.ts";
import type { ToolPlan } from "../../../daemon/act/tool-plan.ts";
import type { Policy } from "../../../daemon/guard.ts";
import { createIds } from "../../../daemon/ids.ts";
import type { Store } from "../../../daemon/store/store.ts";
import { actionPage } from "../../../daemon/store/tables/action.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { type PolicyEffect, parseRecord } from "../../../sync/records.ts";
import { FakeTool, planOf } from "../../support/act.ts";
import { decision, inside, type MovableClock, openTestStore } from "../store/support.ts";

const newId = createIds();
const folders: string[] = [];
const running: Acting[] = [];
afterEach(async () => {
  for (const acting of running.splice(0)) await acting.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

interface Gateway {
  readonly acting: Acting;
  readonly store: Store;
  readonly directory: string;
  readonly clock: MovableClock;
  readonly tool: FakeTool;
  readonly people: { isLatched: boolean; mode: Mode; effect: PolicyEffect; approvers: Set<string>; policy: string };
}

const silent = { debug() {}, info() {}, warn() {}, error() {}, fatal() {}, child: () => silent } as never;

async function openGateway(plan: ToolPlan, directory?: string, clock?: MovableClock): Promise<Gateway> {
  const opened = await openTestStore(directory, {}, ...(clock === undefined ? [] : [clock]));
  const { store } = opened;
  const tool = new FakeTool();
  const people: Gateway["people"] = {
    isLatched: false,
    mode: "auto",
    effect: "permit",
    approvers: new Set(["maria", "ann"]),
    policy: "a".repeat(64),
  };
  const policy: Policy = {
    get digest() {
      return people.policy;
    },
    judge: () => ({ effect: people.effect, rules: ["one"], errors: [] }),
  };
  const reserveFolder = mkdtempSync(join(tmpdir(), "holdfast-reserve-"));
  folders.push(reserveFolder);
  const acting = new Acting({
    ...{ clock: opened.clock, log: silent, store, newId, policy, gateway: "gateway" },
    plans: new Map([[plan.name, plan]]),
    tools: new Map([[plan.name, tool]]),
    bus: { connected: async () => undefined, drained: async () => undefined },
    modes: { effective: () => people.mode, isOff: () => undefined },
    isLatched: () => people.isLatched,
    isApprover: (name) => people.approvers.has(name),
    effectsPerMinute: 1000,
    reserve: new Reserve(reserveFolder),
  });
  await acting.start();
  await acting.recovery.start();
  running.push(acting);
  return { acting, store, directory: opened.directory, clock: opened.clock, tool, people };
}

/** A decision that wants the tool used, written with all that comes of it. */
function decide({ acting, store }: Gateway, tool: string): string {
  const nowMs = Date.now();
  const { id, body } = decision("guard", nowMs);
  const context = { key: "p1", timeMs: nowMs, fields: { x: 1 }, features: {}, answer: {} };
  const origin: Origin = {
    decision: id,
    by: undefined,
    agent: "guard",
    key: "p1",
    context,
    private: [],
    trace: undefined,
    nowMs,
  };
  const proposed = { rule: "hot", index: 0, tool, arguments: { pump: "p1" }, private: [] };
  const judged = acting.propose(origin, [proposed]);
  const agent = store.agentNumber("guard");
  store.appendTogether([{ stream: 1, kind: "decision", agent, id, wallMs: nowMs, body }, ...(judged?.records ?? [])]);
  if (judged !== undefined) store.onDurable(judged.durable);
  store.commitNow();
  return id;
}

async function lineIs(gateway: Gateway, state: string): Promise<ReturnType<typeof actionLine>> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    await gateway.store.flush();
    const [newest] = inside(gateway.directory, (db) => actionPage(db as never, { limit: 1, newestFirst: true }));
    if (newest !== undefined && actionLine(newest).state === state) return actionLine(newest);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`the action did not become ${state}`);
}

async function closeAndCheck(gateway: Gateway): Promise<void> {
  await gateway.acting.stop();
  running.splice(running.indexOf(gateway.acting), 1);
  await gateway.store.stop();
  const bodies = inside(gateway.directory, (db) =>
    db.prepare("SELECT body FROM record WHERE kind NOT IN (1)").pluck().all(),
  ) as string[];
  for (const body of bodies) parseRecord(body);
  expect(verifyLog({ directory: gateway.directory })).toMatchObject({ ok: true });
}

const stop = (more: Record<string, unknown> = {}): ToolPlan => planOf("stop", { class: "reversible", ...more });

describe("acting on a real log", () => {
  test("writes every step as the schemas say, and the log verifies", async () => {
    const gateway = await openGateway(stop());
    const id = decide(gateway, "stop");
    expect(await lineIs(gateway, "acknowledged")).toMatchObject({
      decision: id,
      tool: "stop",
      arguments: { pump: "p1" },
      verdict: { effect: "permit", rules: ["one"] },
      final: true,
    });
    gateway.people.effect = "forbid";
    decide(gateway, "stop");
    await lineIs(gateway, "denied");
    gateway.people.effect = "permit";
    gateway.people.isLatched = true;
    decide(gateway, "stop");
    await lineIs(gateway, "suppressed");
    gateway.people.isLatched = false;
    gateway.people.mode = "dryRun";
    decide(gateway, "stop");
    await lineIs(gateway, "dryRun");
    gateway.people.mode = "observe";
    expect(gateway.acting.propose({} as Origin, [])).toBeUndefined();
    expect(gateway.tool.left).toHaveLength(1);
    await closeAndCheck(gateway);
  });

  test("does nothing before the intent is on disk", async () => {
    const gateway = await openGateway(stop());
    gateway.store.pretendFull(true);
    decide(gateway, "stop");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(gateway.tool.calls).toEqual([]);
    gateway.store.pretendFull(false);
    await lineIs(gateway, "acknowledged");
    await closeAndCheck(gateway);
  });

  test("on a full disk uses the room that is held back for the safe direction, and nothing else", async () => {
    const safe = await openGateway(stop({ safeDirection: true }));
    safe.store.pretendFull(true);
    decide(safe, "stop");
    await vi.waitFor(() => expect(safe.tool.left).toHaveLength(1), 60_000);
    expect(safe.tool.left).toHaveLength(1);
    safe.store.pretendFull(false);
    await lineIs(safe, "acknowledged");
    expect(safe.tool.left).toHaveLength(1);
    await closeAndCheck(safe);
  });

  test("asks two people for what is critical, over a restart, and does it once", async () => {
    const plan = stop({ class: "critical" });
    const before = await openGateway(plan);
    decide(before, "stop");
    const { intent: proposal } = await lineIs(before, "awaitingApproval");
    const yes = (by: string) => ({ proposal, by, decision: "approved" as const });
    expect(await before.acting.desk?.answer(yes("maria"))).toMatchObject({ accepted: true, given: 1, needs: 2 });
    expect(await before.acting.desk?.answer(yes("maria"))).toMatchObject({ accepted: false });
    await closeAndCheck(before);
    const after = await openGateway(plan, before.directory, before.clock);
    expect(await after.acting.desk?.answer(yes("maria"))).toMatchObject({ accepted: false });
    expect(await after.acting.desk?.answer(yes("ann"))).toMatchObject({ accepted: true, state: "intended" });
    expect(await lineIs(after, "acknowledged")).toMatchObject({ intent: proposal, approval: { needs: 2 } });
    expect(await after.acting.desk?.answer(yes("ann"))).toMatchObject({ accepted: false });
    expect(after.tool.left).toHaveLength(1);
    await closeAndCheck(after);
  });

  test("asks the policy again when the yes comes, and voids proposals of another policy", async () => {
    const gateway = await openGateway(stop());
    gateway.people.effect = "requireApproval";
    decide(gateway, "stop");
    const { intent: proposal } = await lineIs(gateway, "awaitingApproval");
    gateway.people.effect = "forbid";
    expect(await gateway.acting.desk?.answer({ proposal, by: "maria", decision: "approved" })).toMatchObject({
      state: "denied",
      reason: "forbidden",
    });
    gateway.people.effect = "requireApproval";
    decide(gateway, "stop");
    await lineIs(gateway, "awaitingApproval");
    gateway.people.policy = "b".repeat(64);
    await gateway.acting.stop();
    await gateway.acting.start();
    await gateway.acting.recovery.start();
    expect(await lineIs(gateway, "denied")).toMatchObject({ reason: "the policy is another one now" });
    expect(gateway.tool.left).toEqual([]);
  });

  test("does not let a person approve what they proposed", async () => {
    const gateway = await openGateway(stop());
    gateway.people.effect = "requireApproval";
    const made = await gateway.acting.proposeAs("maria", "stop", { pump: "p1" });
    expect(made?.state).toBe("awaitingApproval");
    const answer = { proposal: made?.id ?? "", by: "maria", decision: "approved" as const };
    expect(await gateway.acting.desk?.answer(answer)).toMatchObject({ reason: "nobody approves what they proposed" });
    expect(await gateway.acting.desk?.answer({ ...answer, by: "ann" })).toMatchObject({ accepted: true });
    await lineIs(gateway, "acknowledged");
    await closeAndCheck(gateway);
  });

  test("says what is missing when a person leaves an argument out", async () => {
    const gateway = await openGateway(stop());
    expect(await gateway.acting.proposeAs("maria", "stop", {})).toMatchObject({
      state: "denied",
      reason: "argument: pump is missing",
    });
  });
});
