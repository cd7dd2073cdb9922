import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Clock } from "../../../daemon/clock.ts";
import { comparable, loopDelayMeter, MachineReader, VitalsSource } from "../../../daemon/sources/vitals.ts";
import { type VitalName, vitalFields, vitalNames, vitalsBetween } from "../../../daemon/sources/vitals-parse.ts";

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/vitals/${name}`, import.meta.url));

function snapshot(name: string, bootMs: number) {
  const machine = new MachineReader("/nowhere/at/all", fixture(name));
  machine.look();
  return machine.snapshot(bootMs, 3.5);
}

describe("a small gateway's files", () => {
  const values = vitalsBetween(snapshot("before", 1000), snapshot("after", 2000));
  const vital = (name: VitalName) => values[vitalNames.indexOf(name)];

  it("say how busy the cores were", () => {
    expect(vital("cpu_busy")).toBeCloseTo(50);
    expect(vital("cpu_iowait")).toBeCloseTo(20);
    expect(vital("cpu_steal")).toBe(0);
    expect(vital("load_per_core")).toBeCloseTo(0.75);
    expect(vital("runnable_per_core")).toBeCloseTo(1.5);
    expect(vital("processes_blocked")).toBe(2);
    expect(vital("context_switches")).toBeCloseTo(1000);
  });

  it("say how much time went by in waiting", () => {
    expect(vital("psi_cpu")).toBeCloseTo(50);
    expect(vital("psi_memory")).toBeCloseTo(4);
    expect(vital("psi_io")).toBeCloseTo(40);
  });

  it("say how short memory was", () => {
    expect(vital("memory_available")).toBeCloseTo(25);
    expect(vital("swap_used")).toBeCloseTo(25);
    expect(vital("major_faults")).toBeCloseTo(24);
    expect(vital("memory_refaults")).toBeCloseTo(200);
  });

  it("count whole disks once, and no partition, loop or compressed memory", () => {
    expect(vital("disk_busy")).toBeCloseTo(50);
    expect(vital("disk_read")).toBeCloseTo(1024);
    expect(vital("disk_write")).toBeCloseTo(2048);
  });

  it("say the rest", () => {
    expect(vital("network_errors")).toBeCloseTo(3);
    expect(vital("temperature")).toBeCloseTo(52.5);
    expect(vital("loop_delay")).toBe(3.5);
    expect(vital("disk_free")).toBeNaN();
  });
});

describe("this machine", () => {
  it("has every vital within its range, but those that a machine may lack", () => {
    const machine = new MachineReader(process.cwd());
    machine.look();
    const before = machine.snapshot(0, 0);
    const values = vitalsBetween(before, machine.snapshot(1000, 0));
    for (const [i, name] of vitalNames.entries()) {
      const value = values[i] ?? Number.NaN;
      const { min, max } = vitalFields[name];
      if (Number.isNaN(value)) continue;
      expect(value, name).toBeGreaterThanOrEqual(min ?? 0);
      expect(value, name).toBeLessThanOrEqual(max ?? Number.POSITIVE_INFINITY);
    }
    expect(values[vitalNames.indexOf("memory_available")]).toBeGreaterThan(0);
    expect(values[vitalNames.indexOf("disk_free")]).toBeGreaterThan(0);
  });
});

describe("the source", () => {
  let bootMs = 0;
  let emitted: { values: readonly number[]; names: readonly string[]; timeMs: number }[] = [];
  const clock: Clock = {
    wallMs: () => 1_700_000_000_000 + bootMs,
    bootMs: () => bootMs,
    bootId: "boot",
    trust: () => "synced",
  };
  const source = new VitalsSource(
    { clock, emit: (values, names, timeMs) => emitted.push({ values, names, timeMs }) },
    { everySeconds: 1, dataDirectory: process.cwd(), fields: ["disk_free", "memory_available"] },
  );
  const tick = (ms: number) => {
    bootMs += ms;
    vi.advanceTimersByTime(1000);
  };

  beforeEach(async () => {
    bootMs = 0;
    emitted = [];
    vi.useFakeTimers();
    await source.start(new AbortController().signal);
  });
  afterEach(async () => {
    await source.stop();
    vi.useRealTimers();
  });

  it("emits the fields asked for, in that order, from the second look on", () => {
    expect(emitted).toHaveLength(0);
    tick(1000);
    expect(emitted).toHaveLength(1);
    expect(emitted[0]?.names).toEqual(["disk_free", "memory_available"]);
    expect(emitted[0]?.timeMs).toBe(1_700_000_001_000);
    expect(emitted[0]?.values.every((value) => value > 0 && value <= 100)).toBe(true);
  });

  it("says nothing about a time in which the machine slept", () => {
    tick(1000);
    tick(3_600_000);
    expect(emitted).toHaveLength(1);
    tick(1000);
    expect(emitted).toHaveLength(2);
  });

  it("is silent after its stop", async () => {
    await source.stop();
    tick(1000);
    expect(emitted).toHaveLength(0);
  });
});

it("compares only moments that are near enough", () => {
  const at = (bootMs: number) => snapshot("before", bootMs);
  expect(comparable(at(0), at(1000), 1000)).toBe(true);
  expect(comparable(at(0), at(10_001), 1000)).toBe(false);
  expect(comparable(at(0), at(40_000), 10_000)).toBe(true);
  expect(comparable(at(1000), at(1000), 1000)).toBe(false);
});

it("measures how long the event loop was held up, and starts anew with each reading", async () => {
  const meter = loopDelayMeter();
  const turns = async (count: number) => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 25));
  };
  await turns(2);
  meter.read();
  await turns(2);
  const until = performance.now() + 150;
  while (performance.now() < until);
  await turns(2);
  expect(meter.read()).toBeGreaterThan(90);
  meter.read();
  expect(meter.read()).toBe(0);
  meter.stop();
});
