import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CALM, EPOCH, inLog, MemoryLog, OLD, together } from "../support/uplink-site.ts";

describe("the uplink, in trouble,", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("gives nothing up while the log can not be read, asks seldom, and tells it now and then", async () => {
    const log = new MemoryLog();
    log.add(OLD, 1, 500);
    log.add(EPOCH, 0, 20);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(150);
    let asked = 0;
    const fails = async (): Promise<never> => {
      asked += 1;
      throw new Error("the reader is gone");
    };
    const broken = [vi.spyOn(log, "heads"), vi.spyOn(log, "batch")].map((one) => one.mockImplementation(fails));
    for (let second = 0; second < 60; second++) {
      log.add(EPOCH, 0, 1);
      uplink.wake();
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(asked).toBeGreaterThan(20);
    expect(asked).toBeLessThan(200);
    const told = log.reports.filter(([what]) => what === "log not read for the fleet");
    expect(told.map(([, { times }]) => times)).toEqual([1, 10]);
    for (const one of broken) one.mockRestore();
    await vi.advanceTimersByTimeAsync(120_000);
    expect([...fleet.stored.keys()].sort()).toEqual(inLog(log));
    await uplink.stop();
  });

  test("tells what the fleet keeps aside, also where it counts as stored", async () => {
    const log = new MemoryLog();
    log.add(EPOCH, 0, 5);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(30);
    fleet.isThere = false;
    await vi.advanceTimersByTimeAsync(200);
    uplink.heard(
      Buffer.from(
        JSON.stringify({
          ...{ v: 1, kind: "ack", fleet: "north", gateway: "plant-7", session: fleet.session(), now: 1, epoch: EPOCH },
          ...{ stream: 0, contiguous: 5, ranges: [], refused: [{ from: 4, to: 4, reason: "schema" }] },
        }),
      ),
    );
    expect(log.reports).toEqual([
      ["fleet refused records", { epoch: EPOCH, stream: "safety", ranges: [{ from: 4, to: 4, reason: "schema" }] }],
    ]);
    expect(uplink.state()).toMatchObject({ backlogRows: 0, underWay: 0 });
    await uplink.stop();
  });

  test("asks the log what is new at most twenty times a second, however many commits there are", async () => {
    const log = new MemoryLog();
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(100);
    const asked = vi.spyOn(log, "heads");
    for (let commit = 0; commit < 1000; commit++) {
      log.add(EPOCH, 0, 1);
      uplink.wake();
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(asked.mock.calls.length).toBeLessThanOrEqual(21);
    await vi.advanceTimersByTimeAsync(1000);
    expect(fleet.stored.size).toBe(1000);
    await uplink.stop();
  });

  test("lets the fleet refuse only what it was sent, and writes few records of a flood of refusals", async () => {
    const log = new MemoryLog();
    log.add(OLD, 1, 200);
    log.add(EPOCH, 0, 5);
    const { fleet, uplink } = together(log, CALM);
    await uplink.start();
    fleet.connect();
    await vi.advanceTimersByTimeAsync(5000);
    expect(uplink.state().backlogRows).toBe(0);
    const refuse = (from: number, to: number): void =>
      uplink.heard(
        Buffer.from(
          JSON.stringify({
            ...{ v: 1, kind: "ack", fleet: "north", gateway: "plant-7", session: fleet.session(), now: 1 },
            ...{ epoch: EPOCH, stream: 0, contiguous: 5, ranges: [], refused: [{ from, to, reason: "conflict" }] },
          }),
        ),
      );
    // What it has acknowledged, and what is not there.
    for (let time = 0; time < 50; time++) refuse(1, 1_000_000);
    expect(log.reports).toEqual([]);
    // And each record that it does get, as soon as it comes; what that causes is a record again.
    fleet.isThere = false;
    const report = log.report.bind(log);
    log.report = (what, detail) => {
      report(what, detail);
      log.add(EPOCH, 0, 1);
    };
    log.add(EPOCH, 0, 1);
    for (let tenth = 0; tenth < 6000; tenth++) {
      uplink.wake();
      await vi.advanceTimersByTimeAsync(100);
      refuse(6, 1_000_000);
    }
    const told = log.reports.filter(([what]) => what === "fleet refused records");
    expect(told.length).toBeGreaterThan(10);
    expect(told.length).toBeLessThanOrEqual(31);
    expect(told[0]).toEqual([
      "fleet refused records",
      { epoch: EPOCH, stream: "safety", ranges: [{ from: 6, to: 6, reason: "conflict" }] },
    ]);
    await uplink.stop();
  });
});
