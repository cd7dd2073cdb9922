import { describe, expect, test } from "vitest";
import { bootClock, judgingTimeMs } from "../../daemon/clock.ts";

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

test("a clock that is certainly wrong refuses no reading as one from the future, but for one that nobody can mean", () => {
  const now = Date.UTC(2026, 10, 28);
  expect(judgingTimeMs(60_000, "unsynced")).toBeGreaterThan(now);
  expect(judgingTimeMs(60_000, "unsynced")).toBeLessThan(Date.UTC(2106, 0, 1));
  for (const trust of ["synced", "unknown"] as const) expect(judgingTimeMs(now, trust)).toBe(now);
});
