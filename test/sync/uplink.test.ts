import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CALM, EPOCH, inLog, MemoryLog, OLD, together } from "../support/uplink-site.ts";

describe("the uplink", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("brings every record to the fleet once, whatever the line loses, delays and breaks", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          upLossPercent: fc.integer({ min: 0, max: 30 }),
          downLossPercent: fc.integer({ min: 0, max: 30 }),
          delayMs: fc.integer({ min: 1, max: 3000 }),
          breakEvery: fc.constantFrom(0, 7, 23),
        }),
        fc.integer({ min: 1, max: 1e6 }),
        async (trouble, seed) => {
          const log = new MemoryLog();
          for (const stream of [0, 1, 2, 3]) log.add(OLD, stream, (seed >> stream) % 700);
          log.add(EPOCH, 0, 1);
          const { fleet, uplink } = together(log, trouble, seed);
          await uplink.start();
          fleet.connect();
          for (let second = 0; second < 40; second++) {
            for (const stream of [0, 1, 2, 3]) log.add(EPOCH, stream, (seed + second) % 9);
            uplink.wake();
            await vi.advanceTimersByTimeAsync(1000);
          }
          for (let minute = 0; minute < 120 && uplink.state().backlogRows > 0; minute++)
            await vi.advanceTimersByTimeAsync(60_000);
          expect([...fleet.stored.keys()].sort()).toEqual(inLog(log));
          expect(uplink.state().backlogRows).toBe(0);
          await uplink.stop();
        },
      ),
      { numRuns: 25 },
    );
  });

  test("sends what matters first, and what is written now beside what was before", async () => {
    const log = new MemoryLog();
    log.add(OLD, 1, 20_000);
    log.add(EPOCH, 0, 1);
    const { fleet, uplink } = together(log, { ...CALM, delayMs: 300 });
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(3000);
    log.add(EPOCH, 1, 30);
    log.add(EPOCH, 0, 1);
    uplink.wake();
    const before = fleet.order.length;
    await vi.advanceTimersByTimeAsync(2500);
    const then = fleet.order.slice(before);
    expect(then).toContain(`${EPOCH}/0/2`);
    expect(then).toContain(`${EPOCH}/1/1`);
    expect(then.filter((one) => one.startsWith(`${OLD}/1`)).length).toBeGreaterThan(0);
    await uplink.stop();
  });

  test("asks now and then while nobody stores, and goes on when somebody does", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 1, 5000);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(200);
    fleet.isThere = false;
    log.add(EPOCH, 1, 50_000);
    uplink.wake();
    await vi.advanceTimersByTimeAsync(600_000);
    const { messages } = fleet;
    await vi.advanceTimersByTimeAsync(600_000);
    expect(fleet.messages - messages).toBeLessThanOrEqual(20);
    expect(fleet.messages - messages).toBeGreaterThanOrEqual(10);
    fleet.isThere = true;
    await vi.advanceTimersByTimeAsync(120_000);
    expect(uplink.state().backlogRows).toBe(0);
    expect(fleet.stored.size).toBe(55_000);
    await uplink.stop();
  });

  test("believes no acknowledgement of what was never there, of another gateway or connection", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 1, 100);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.isThere = false;
    fleet.connect();
    await vi.advanceTimersByTimeAsync(100);
    const ack = {
      ...{ v: 1, kind: "ack", fleet: "north", gateway: "plant-7", session: fleet.session(), now: 1 },
      ...{ epoch: EPOCH, stream: 1, contiguous: 100, ranges: [] },
    };
    const forged = [
      { ...ack, gateway: "plant-8" },
      { ...ack, fleet: "south" },
      { ...ack, session: "ffffffffffffffff" },
      { ...ack, contiguous: 101 },
      { ...ack, contiguous: 0, ranges: [[50, 1000]] },
      { ...ack, contiguous: -1 },
      { ...ack, epoch: "0000000000000000" },
      { ...ack, kind: "other" },
      [],
      "x".repeat(70_000),
    ];
    for (const one of forged) uplink.heard(Buffer.from(JSON.stringify(one)));
    uplink.heard(Buffer.from([0xff, 0xfe, 0x00]));
    expect(log.acked.size).toBe(0);
    expect(uplink.state().backlogRows).toBe(100);
    expect(uplink.state().refused).toBe(11);
    expect(log.reports.length).toBeGreaterThan(0);
    uplink.heard(Buffer.from(JSON.stringify(ack)));
    expect(uplink.state().backlogRows).toBe(0);
    await uplink.stop();
  });

  test("keeps within its budget, and lets safety go beyond, which is told", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 1, 60_000);
    log.add(EPOCH, 0, 10);
    const { fleet, uplink } = together(log, CALM, 1, { budget: { bytesPerDay: 65_536, bytesPerSecond: 2000 } });
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(fleet.bytes).toBeLessThan(2000 * 10 + 20_000 + 4096);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(fleet.bytes).toBeLessThan(65_536 + 4096);
    log.add(EPOCH, 0, 4000);
    uplink.wake();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect([...fleet.stored.keys()].filter((one) => one.startsWith(`${EPOCH}/0`)).length).toBe(4010);
    expect(uplink.state().overdraftBytes).toBeGreaterThan(0);
    await uplink.stop();
  });
});
