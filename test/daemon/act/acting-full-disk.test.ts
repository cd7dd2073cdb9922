import { afterEach, describe, expect, test, vi } from "vitest";
import { Acting, type ActLog } from "../../../daemon/act/acting.ts";
import type { Proposed } from "../../../daemon/act/action.ts";
import type { Origin } from "../../../daemon/act/proposer.ts";
import { Reserve } from "../../../daemon/act/reserve.ts";
import { millisecondOf } from "../../../daemon/ids.ts";
import type { EpochInfo, RestoredActions } from "../../../daemon/store/messages.ts";
import type { NewRecord } from "../../../daemon/store/open-batch.ts";
import { FakeTool, planOf, StillClock } from "../../support/act.ts";
import { temporaryDirectory } from "../store/support.ts";

/** A log that is durable when the test says so. */
class FakeLog implements ActLog {
  condition = "open";
  records: NewRecord[] = [];
  limits: Record<string, string> = {};
  restored: Partial<RestoredActions> = {};
  readonly #waiting: (() => void)[] = [];

  append(record: NewRecord): void {
    this.records.push(record);
  }
  appendTogether(records: readonly NewRecord[]): void {
    this.records.push(...records);
  }
  project({ scope, state }: { readonly scope: string; readonly state: string | null }): void {
    if (state === null) delete this.limits[scope];
    else this.limits[scope] = state;
  }
  count(): void {}
  onDurable(callback: () => void): void {
    if (this.condition === "full") this.#waiting.push(callback);
    else queueMicrotask(callback);
  }
  commitNow(): void {}
  agentNumber(): number {
    return 1;
  }
  async restoreActions(): Promise<RestoredActions> {
    return { open: [], limits: {}, known: [], wentBack: undefined, ...this.restored };
  }
  epoch(): EpochInfo {
    return { reason: "crash" } as EpochInfo;
  }
  state(): { condition: string } {
    return { condition: this.condition };
  }
  /** There is room again. */
  becomesDurable(): void {
    this.condition = "open";
    for (const callback of this.#waiting.splice(0)) callback();
  }
  ends(): string[] {
    return this.records
      .map(({ body }) => JSON.parse(body) as { state?: string; kind: string })
      .map((one) => one.state ?? one.kind);
  }
}

interface Bench {
  readonly acting: Acting;
  readonly log: FakeLog;
  readonly tool: FakeTool;
  propose(): readonly NewRecord[];
}

function benchOf(directory: string, log = new FakeLog(), reserve = new Reserve(directory)): Bench {
  const clock = new StillClock();
  const plan = planOf("stop", { class: "reversible", safeDirection: true, limits: { perMinute: 1 } });
  const tool = new FakeTool();
  let made = 0;
  const acting = new Acting({
    clock,
    log: { warn: () => undefined } as never,
    store: log,
    newId: () => `01900000-0000-7000-8000-${String(++made).padStart(12, "0")}`,
    policy: { digest: "0".repeat(64), judge: () => ({ effect: "permit", rules: [], errors: [] }) },
    gateway: "gateway",
    plans: new Map([["stop", plan]]),
    tools: new Map([["stop", tool]]),
    bus: { connected: async () => undefined, drained: async () => undefined },
    modes: { effective: () => "auto", isOff: () => undefined },
    isLatched: () => false,
    isApprover: () => true,
    effectsPerMinute: 100,
    reserve,
  });
  const context = { key: "p1", timeMs: 0, fields: {}, features: {}, answer: {} };
  const origin: Origin = {
    decision: "d",
    by: undefined,
    agent: "guard",
    key: "p1",
    context,
    trace: undefined,
    private: [],
    nowMs: 0,
  };
  const proposed: Proposed = { rule: "hot", index: 0, tool: "stop", arguments: { pump: "p1" }, private: [] };
  const propose = (): readonly NewRecord[] => {
    const judged = acting.propose(origin, [proposed]);
    if (judged === undefined) return [];
    log.appendTogether(judged.records);
    log.onDurable(judged.durable);
    return judged.records;
  };
  return { acting, log, tool, propose };
}

const soon = async (isTrue: () => boolean): Promise<void> =>
  await vi.waitFor(() => expect(isTrue()).toBe(true), 60_000);

const benches: Bench[] = [];
const started = async (...given: Parameters<typeof benchOf>): Promise<Bench> => {
  const bench = benchOf(...given);
  benches.push(bench);
  await bench.acting.start();
  return bench;
};
afterEach(async () => {
  for (const { acting } of benches.splice(0)) await acting.stop();
});

describe("what leads to the safe state while the disk is full", () => {
  test("leaves once, whether the log gets it later or not", async () => {
    const { log, tool, propose, acting } = await started(temporaryDirectory());
    log.condition = "full";
    propose();
    await soon(() => tool.left.length === 1);
    log.becomesDurable();
    await soon(() => acting.figures().running === 0);
    expect(tool.left).toHaveLength(1);
    expect(log.ends()).toEqual(["intent", "sent", "acknowledged"]);
  });

  test("takes its limits after a crash too, though their transaction never came to be", async () => {
    const directory = temporaryDirectory();
    const before = await started(directory);
    before.log.condition = "full";
    before.propose();
    await soon(() => before.tool.left.length === 1);
    const after = await started(directory);
    await after.acting.recovery.start();
    expect(after.log.ends()).toEqual(["intent", "unknown"]);
    // The log is verified by it: a row's time is that of its id.
    const [intent] = after.log.records;
    expect(intent?.wallMs).toBe(millisecondOf(intent?.id ?? ""));
    expect(JSON.parse(after.propose()[0]?.body ?? "{}")).toMatchObject({ state: "limited", reason: "perMinute" });
  });

  test("leaves when the log gets it while the reserve fails", async () => {
    const reserve = new Reserve(temporaryDirectory());
    let fail = (): void => undefined;
    reserve.keep = () =>
      new Promise((resolve) => {
        fail = () => resolve(false);
      });
    const { log, tool, propose } = await started(temporaryDirectory(), new FakeLog(), reserve);
    log.condition = "full";
    const kept = vi.spyOn(reserve, "keep");
    propose();
    await soon(() => kept.mock.calls.length === 1);
    log.becomesDurable();
    fail();
    await soon(() => tool.left.length === 1);
    expect(log.ends()).toEqual(["intent", "sent", "acknowledged"]);
  });
});

describe("a stop of the daemon", () => {
  test("lets nothing leave any more while the bus is still there, and is no failure of the tool", async () => {
    const { acting, log, tool, propose } = await started(temporaryDirectory());
    tool.before = () => ({ kind: "failed", left: false, reason: "notConnected" });
    propose();
    await soon(() => tool.calls.length > 0);
    await acting.recovery.stop();
    tool.before = undefined;
    await soon(() => acting.figures().running === 0);
    expect(tool.left).toEqual([]);
    expect(log.ends()).toEqual(["intent", "failed"]);
    expect(acting.breakerOf("stop").failures).toBe(0);
  });
});
