import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Log } from "../../../daemon/log.ts";
import { Heartbeat } from "../../../daemon/service/heartbeat.ts";
import { notifyOf, watchdogMs } from "../../../daemon/service/notify.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, fatal() {}, child: () => silent };

function heart(
  more: {
    watchdogMs?: number;
    writer?: () => Promise<unknown>;
    notify?: () => Promise<void>;
    isOpening?: () => boolean;
  } = {},
) {
  const said: string[] = [];
  const heartbeat = new Heartbeat(
    {
      notify: async (...assignments) => {
        await more.notify?.();
        said.push(...assignments);
      },
      log: silent,
      writer: more.writer ?? (async () => undefined),
      isOpening: more.isOpening ?? (() => true),
      nowMs: () => Date.now(),
      text: () => "mode observe",
      starting: () => "starts: looks at its database",
    },
    { watchdogMs: more.watchdogMs },
  );
  return { heartbeat, said, fed: () => said.filter((one) => one === "WATCHDOG=1").length };
}

describe("the heartbeat", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("asks for time once more when the database is open, and then no longer: what hangs there has to end", async () => {
    let isOpening = true;
    const { heartbeat, said } = heart({ isOpening: () => isOpening });
    await heartbeat.start();
    await vi.advanceTimersByTimeAsync(20_000);
    isOpening = false;
    await vi.advanceTimersByTimeAsync(600_000);
    const asked = said.filter((one) => one.startsWith("EXTEND_TIMEOUT_USEC="));
    expect(asked.map((one) => Number(one.split("=")[1]) / 1e6)).toEqual([30, 30, 30, 90]);
    await heartbeat.stop();
  });

  test("asks for more time while its database is looked at, and not for ever", async () => {
    const { heartbeat, said } = heart({ watchdogMs: 30_000 });
    await heartbeat.start();
    await vi.advanceTimersByTimeAsync(60_000);
    const asked = () => said.filter((one) => one.startsWith("EXTEND_TIMEOUT_USEC=")).length;
    expect(asked()).toBe(7);
    expect(said).not.toContain("WATCHDOG=1");
    await vi.advanceTimersByTimeAsync(3 * 3_600_000);
    expect(asked()).toBe(181);
    await heartbeat.stop();
  });

  test("says that it is ready once, then that it is alive, three times as often as it has to, and at last that it stops", async () => {
    const { heartbeat, said, fed } = heart({ watchdogMs: 30_000 });
    await heartbeat.start();
    await heartbeat.ready();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(fed()).toBe(6);
    await heartbeat.stopping();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(fed()).toBe(6);
    expect(said.filter((one) => one === "READY=1")).toHaveLength(1);
    expect(said).toContain("STOPPING=1");
    await heartbeat.stop();
  });

  test("says nothing while the writer gives no answer, and goes on when it does", async () => {
    let answer: (() => void) | undefined;
    let asked = 0;
    const writer = (): Promise<void> => {
      asked += 1;
      return new Promise((resolve) => {
        answer = resolve;
      });
    };
    const { heartbeat, fed } = heart({ watchdogMs: 30_000, writer });
    await heartbeat.start();
    await heartbeat.ready();
    await vi.advanceTimersByTimeAsync(120_000);
    expect([fed(), asked]).toEqual([0, 1]);
    answer?.();
    await vi.advanceTimersByTimeAsync(1);
    expect(fed()).toBe(1);
    await heartbeat.stop();
  });

  test("feeds no watchdog where none is, and a writer or manager that fails ends nothing", async () => {
    const without = heart();
    await without.heartbeat.start();
    await without.heartbeat.ready();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(without.fed()).toBe(0);
    expect(without.said.filter((one) => one === "STATUS=mode observe").length).toBeGreaterThan(2);
    await without.heartbeat.stop();
    const fails = async (): Promise<never> => {
      throw new Error("gone");
    };
    const failing = heart({ watchdogMs: 3000, writer: fails, notify: fails });
    await failing.heartbeat.start();
    await failing.heartbeat.ready();
    await vi.advanceTimersByTimeAsync(10_000);
    await failing.heartbeat.stopping();
    expect(failing.said).toEqual([]);
    await failing.heartbeat.stop();
  });
});

test("nobody is told anything where no service manager listens", () => {
  expect(notifyOf({})).toBeUndefined();
  expect(notifyOf({ NOTIFY_SOCKET: "" })).toBeUndefined();
});

test.each([
  [{}, undefined],
  [{ WATCHDOG_USEC: "30000000" }, 30_000],
  [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }, 30_000],
  [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }, undefined],
  [{ WATCHDOG_USEC: "soon" }, undefined],
  [{ WATCHDOG_USEC: "0" }, undefined],
])("of %j the watchdog's time is %s ms", (environment, expected) => {
  expect(watchdogMs(environment, 7)).toBe(expected);
});
