import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Mode } from "../../../config/gateway.ts";
import type { Action } from "../../../daemon/act/action.ts";
import { Executor } from "../../../daemon/act/executor.ts";
import { Limits } from "../../../daemon/act/limits.ts";
import { Readings } from "../../../daemon/act/readings.ts";
import type { Step } from "../../../daemon/act/steps.ts";
import type { Sent } from "../../../daemon/act/tool.ts";
import { FakeTool, planOf, StillClock } from "../../support/act.ts";

interface Bench {
  readonly clock: StillClock;
  readonly tool: FakeTool;
  readonly steps: Step[];
  readonly executor: Executor;
  readonly readings: Readings;
  readonly people: { isLatched: boolean; mode: Mode; off: "toolOff" | undefined };
  start(more?: Record<string, unknown>, attempt?: number): Action;
}

function benchOf(config: Record<string, unknown> = {}): Bench {
  const clock = new StillClock();
  const tool = new FakeTool();
  const steps: Step[] = [];
  const people: Bench["people"] = { isLatched: false, mode: "auto", off: undefined };
  const readings = new Readings(clock, () => true);
  const limits = new Limits({ clock, keep: () => undefined }, 1000, {});
  const executor = new Executor({
    clock,
    tools: new Map([["stop", tool]]),
    modes: { effective: () => people.mode, isOff: () => people.off },
    isLatched: () => people.isLatched,
    limits,
    readings,
    step: (_action, step) => steps.push(step),
    handedOver: () => steps.push({ state: "sent", reason: "handed over" }),
  });
  const plan = planOf("stop", { class: "reversible", executeWithinSeconds: 10, timeoutSeconds: 2, ...config });
  let made = 0;
  const start = (more: Record<string, unknown> = {}, attempt = 1): Action => {
    made += 1;
    const id = `01900000-0000-7000-8000-${String(made).padStart(12, "0")}`;
    const intent = {
      ...{ v: 1, kind: "intent", id, agent: "guard", key: "p1", rule: "hot", tool: "stop", target: "plant/p1/command" },
      ...{ arguments: { pump: "p1" }, class: plan.class, verdict: { effect: "permit", rules: [] } },
      ...{ policy: "0".repeat(16), idempotencyKey: id },
      executeBefore: { bootMs: clock.bootMs() + plan.executeWithinMs, wallMs: 0, boot: clock.bootId.slice(0, 8) },
      ...more,
    };
    const action: Action = {
      id,
      intent: intent as Action["intent"],
      plan,
      proposedBootMs: clock.bootMs(),
      trace: undefined,
    };
    executor.start(action, attempt);
    return action;
  };
  return { clock, tool, steps, executor, readings, people, start };
}

/** Lets promises and timers go on for so long, on both clocks. */
async function passes(bench: Bench, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 50) {
    bench.clock.pass(50);
    await vi.advanceTimersByTimeAsync(50);
  }
}

const states = (bench: Bench): string[] => bench.steps.map((step) => `${step.state}${step.final === true ? "!" : ""}`);
const verify = { topic: "plant/{pump}/state", when: "payload.running == false", withinSeconds: 1 };
const shows = (bench: Bench, running: boolean): void =>
  bench.readings.heard({ topic: "plant/p1/state", payload: Buffer.from(JSON.stringify({ running })), retained: false });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("an action", () => {
  test("is sent once, and over when the other side says yes", async () => {
    const bench = benchOf();
    bench.start();
    await passes(bench, 100);
    expect(states(bench)).toEqual(["sent", "acknowledged!"]);
    expect(bench.tool.left).toHaveLength(1);
  });

  test("is verified by what the plant shows after it, not by what it showed before", async () => {
    const bench = benchOf({ verify });
    shows(bench, false);
    bench.start();
    await passes(bench, 200);
    expect(states(bench)).toEqual(["sent", "acknowledged"]);
    shows(bench, true);
    shows(bench, false);
    await passes(bench, 50);
    expect(states(bench)).toEqual(["sent", "acknowledged", "verified!"]);
  });

  test("that is not idempotent is never sent again, whatever becomes of it", async () => {
    const outcomes: Sent[] = [
      { kind: "unknown", reason: "noAcknowledgement" },
      { kind: "failed", left: true, reason: "HTTP 503" },
      { kind: "acknowledged" },
    ];
    for (const outcome of outcomes) {
      const bench = benchOf({ idempotent: false, retries: 5, verify });
      bench.tool.answer = () => outcome;
      bench.start();
      await passes(bench, 12_000);
      expect(bench.tool.left).toHaveLength(1);
      expect(states(bench).at(-1)).toMatch(/^(unknown|failed|unverified)!$/);
    }
  });

  test("that is idempotent is tried as often as it may, before its time is over", async () => {
    const bench = benchOf({ idempotent: true, retries: 2 });
    bench.tool.answer = () => ({ kind: "unknown", reason: "noAcknowledgement" });
    bench.start();
    await passes(bench, 12_000);
    expect(bench.tool.left.map((call) => call.attempt)).toEqual([1, 2, 3]);
    expect(states(bench).at(-1)).toBe("unknown!");
  });

  test("waits for a connection whatever its tool, since nothing left, and expires when none comes", async () => {
    const bench = benchOf();
    bench.tool.before = () => ({ kind: "failed", left: false, reason: "notConnected" });
    bench.start();
    await passes(bench, 9900);
    expect(states(bench)).toEqual([]);
    await passes(bench, 200);
    expect(bench.steps).toEqual([{ state: "expired", reason: "executeBefore: notConnected", final: true }]);
    expect(bench.tool.left).toEqual([]);
  });

  test("never leaves after its execute-before, also when it waited inside the tool", async () => {
    const bench = benchOf();
    bench.tool.before = async () => {
      await new Promise((resolve) => setTimeout(resolve, 10_500));
      return undefined;
    };
    bench.start();
    await passes(bench, 11_000);
    expect(bench.tool.left).toEqual([]);
    expect(states(bench)).toEqual(["expired!"]);
  });

  test.each([
    ["the latch", (bench: Bench) => Object.assign(bench.people, { isLatched: true }), "latched"],
    ["a switch", (bench: Bench) => Object.assign(bench.people, { off: "toolOff" }), "toolOff"],
    ["a mode", (bench: Bench) => Object.assign(bench.people, { mode: "observe" }), "observe"],
    [
      "a mode in which somebody has to be asked",
      (bench: Bench) => Object.assign(bench.people, { mode: "approve" }),
      "approve",
    ],
  ])("does not leave when %s says no at the last moment", async (_name, say, reason) => {
    const bench = benchOf();
    bench.tool.before = async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      say(bench);
      return undefined;
    };
    bench.start();
    await passes(bench, 500);
    expect(bench.tool.left).toEqual([]);
    expect(bench.steps).toEqual([{ state: "suppressed", reason, final: true }]);
  });

  test("that was tried once ends as what is known of it when a person stops it before the next try", async () => {
    const bench = benchOf({ idempotent: true });
    bench.tool.answer = () => {
      bench.people.isLatched = true;
      return { kind: "unknown", reason: "noAcknowledgement" };
    };
    bench.start();
    await passes(bench, 3000);
    expect(bench.tool.left).toHaveLength(1);
    expect(states(bench)).toEqual(["sent", "unknown!"]);
  });

  test("does not leave in a heap with others that waited with it", async () => {
    const bench = benchOf({ limits: { minimumSecondsBetween: 3 } });
    let isConnected = false;
    bench.tool.before = () => (isConnected ? undefined : { kind: "failed", left: false, reason: "notConnected" });
    for (let n = 0; n < 3; n++) bench.start();
    await passes(bench, 1000);
    isConnected = true;
    await passes(bench, 1500);
    expect(bench.tool.left).toHaveLength(1);
    await passes(bench, 4000);
    expect(bench.tool.left).toHaveLength(2);
    await passes(bench, 9000);
    expect(states(bench).filter((state) => state.endsWith("!"))).toHaveLength(3);
  });

  test("leaves in the mode in which people are asked when they were, and when it leads to the safe state", async () => {
    const bench = benchOf();
    bench.people.mode = "approve";
    bench.start({ proposal: "01900000-0000-7000-8000-0000000000ff" });
    const safe = benchOf({ safeDirection: true });
    safe.people.mode = "approve";
    safe.start();
    await passes(bench, 100);
    expect([bench.tool.left.length, safe.tool.left.length]).toEqual([1, 1]);
  });

  test("that waited for its turn until its time was over does not take its turn", async () => {
    const bench = benchOf({ timeoutSeconds: 60 });
    bench.tool.isCheap = false;
    bench.tool.before = async () => {
      await new Promise((resolve) => setTimeout(resolve, 11_000));
      return { kind: "failed", left: false, reason: "no connection", permanent: true };
    };
    for (let n = 0; n < 1000; n++) bench.start();
    await passes(bench, 11_500);
    expect(bench.tool.calls).toHaveLength(8);
    expect(bench.executor.running).toBe(0);
  });

  test("ends when its tool breaks, as what is known of it", async () => {
    const early = benchOf({ idempotent: true });
    early.tool.before = () => {
      throw new RangeError("no such argument");
    };
    early.start();
    const late = benchOf();
    late.tool.answer = () => Promise.reject(new Error("a library's own"));
    late.start();
    await passes(late, 100);
    expect(early.steps).toEqual([{ state: "failed", reason: "the tool broke: no such argument", final: true }]);
    expect(states(late)).toEqual(["sent", "unknown!"]);
  });

  test("of a dry run leaves the tool out", async () => {
    const bench = benchOf();
    bench.start({ dryRun: true });
    await passes(bench, 100);
    expect(bench.tool.calls).toEqual([]);
    expect(states(bench)).toEqual(["dryRun!"]);
  });
});

describe("a stop", () => {
  test("breaks off what is under way, and is over only then", async () => {
    const bench = benchOf({ timeoutSeconds: 60 });
    bench.tool.answer = (_call, signal) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve({ kind: "unknown", reason: "stopped" })));
    bench.start();
    await passes(bench, 100);
    bench.people.isLatched = true;
    await bench.executor.settle();
    await passes(bench, 100);
    expect(states(bench)).toEqual(["sent", "unknown!"]);
    expect(bench.steps.at(-1)).toMatchObject({ reason: "stopped", unrelated: true });
  });

  test("waits a moment for the answer to what has left as a whole, and no longer", async () => {
    const bench = benchOf({ timeoutSeconds: 60 });
    bench.tool.leavesWhole = true;
    const answers: (() => void)[] = [];
    bench.tool.answer = (_call, signal) =>
      new Promise((resolve) => {
        answers.push(() => resolve({ kind: "acknowledged" }));
        signal.addEventListener("abort", () => resolve({ kind: "unknown", reason: "stopped" }));
      });
    bench.start();
    bench.start();
    await passes(bench, 100);
    bench.people.isLatched = true;
    let isSettled = false;
    const settled = bench.executor.settle().then(() => {
      isSettled = true;
    });
    await passes(bench, 100);
    answers[0]?.();
    await passes(bench, 100);
    expect({ isSettled, states: states(bench) }).toEqual({
      isSettled: false,
      states: ["sent", "sent", "acknowledged!"],
    });
    await passes(bench, 1000);
    await settled;
    expect(states(bench)).toEqual(["sent", "sent", "acknowledged!", "unknown!"]);
    expect(bench.steps.at(-1)).toMatchObject({ reason: "stopped", unrelated: true });
  });

  test("of the daemon leaves open what waits for the plant, and ends what never left", async () => {
    const bench = benchOf({ verify: { ...verify, withinSeconds: 60 }, executeWithinSeconds: 100 });
    bench.start();
    await passes(bench, 100);
    bench.tool.before = () => ({ kind: "failed", left: false, reason: "notConnected" });
    bench.start();
    await passes(bench, 100);
    const stopped = bench.executor.stop(5000);
    await passes(bench, 200);
    await stopped;
    await passes(bench, 2000);
    expect(states(bench)).toEqual(["sent", "acknowledged", "failed!"]);
    expect(bench.tool.left).toHaveLength(1);
  });

  test("ends what waits for its turn, without waiting for those before it", async () => {
    const bench = benchOf({ timeoutSeconds: 60, executeWithinSeconds: 100 });
    Object.assign(bench.tool, { isCheap: false });
    bench.tool.answer = (_call, signal) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve({ kind: "unknown", reason: "stopped" })));
    for (let at = 0; at < 9; at++) bench.start();
    await passes(bench, 100);
    expect(bench.tool.left).toHaveLength(8);
    const stopped = bench.executor.stop(1000);
    await passes(bench, 50);
    expect(states(bench).at(-1)).toBe("failed!");
    expect(bench.tool.calls).toHaveLength(8);
    await passes(bench, 1000);
    await stopped;
    expect(states(bench).filter((state) => state === "unknown!")).toHaveLength(8);
  });
});

test("what waited for its turn is looked at again before it is handed to its tool", async () => {
  const bench = benchOf();
  Object.assign(bench.tool, { isCheap: false });
  bench.tool.answer = () => new Promise((resolve) => setTimeout(() => resolve({ kind: "acknowledged" }), 500));
  for (let at = 0; at < 9; at++) bench.start();
  await passes(bench, 100);
  bench.people.isLatched = true;
  await passes(bench, 600);
  expect(bench.tool.calls).toHaveLength(8);
  expect(bench.steps.filter((step) => step.reason === "latched")).toHaveLength(1);
});
