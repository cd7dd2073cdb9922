import { describe, expect, test } from "vitest";
import { bootClock, type ClockTrust, readingJudge } from "../../daemon/clock.ts";

/** A machine on which reading the time may take long: `waits` is how long the next reads take, half before and half after. */
class Machine {
  trueMs = 1_000_000;
  suspendedMs = 0;
  waits: number[] = [];

  readonly monotonicMs = (): number => this.trueMs - this.suspendedMs;

  readonly uptimeMs = (): number => {
    const waitMs = this.waits.shift() ?? 0;
    this.trueMs += waitMs / 2;
    const read = Math.floor(this.trueMs / 10) * 10;
    this.trueMs += waitMs / 2;
    return read;
  };
}

describe("boot time", () => {
  test("is that of the machine, to its resolution", () => {
    const machine = new Machine();
    const clock = bootClock(machine);
    machine.trueMs += 12_345;
    expect(clock.nowMs()).toBe(machine.trueMs);
  });

  test("does not run ahead when the process is kept waiting while it looks", () => {
    const machine = new Machine();
    const clock = bootClock(machine);
    machine.waits = [2400];
    clock.look();
    expect(clock.nowMs()).toBe(machine.trueMs);
  });

  test("is not behind when the process is kept waiting as it starts", () => {
    const machine = new Machine();
    machine.waits = [140, 0, 400];
    const clock = bootClock(machine);
    expect(clock.nowMs()).toBe(machine.trueMs);
  });

  test("goes on during suspend", () => {
    const machine = new Machine();
    const clock = bootClock(machine);
    machine.trueMs += 60_000;
    machine.suspendedMs += 60_000;
    clock.look();
    expect(clock.nowMs()).toBe(machine.trueMs);
  });
});

describe("what is from the future", () => {
  const now = Date.UTC(2026, 10, 28);
  const machine = { at: 1000, trust: "synced" as ClockTrust };
  const judge = () => readingJudge({ bootMs: () => machine.at, trust: () => machine.trust });

  test("is judged by the clock where that may be right", () => {
    machine.trust = "unknown";
    expect(judge()(now)).toBe(now);
  });

  test("can not be told by a clock that is certainly wrong, but for what nobody can mean", () => {
    machine.trust = "unsynced";
    expect(judge()(60_000)).toBeGreaterThan(now);
    expect(judge()(60_000)).toBeLessThan(Date.UTC(2106, 0, 1));
  });

  test("is judged by the time as it went on where the clock is set back, and follows one that is set forward", () => {
    machine.trust = "synced";
    const told = judge();
    expect(told(now)).toBe(now);
    machine.at += 5000;
    expect(told(now + 5000 - 86_400_000)).toBe(now + 5000);
    expect(told(now + 86_400_000)).toBe(now + 86_400_000);
  });
});
