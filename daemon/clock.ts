import { existsSync, readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";

export type ClockTrust = "synced" | "unsynced" | "unknown";

/** Wall time for people, boot time for durations: boot time goes on during suspend and never jumps. */
export interface Clock {
  wallMs(): number;
  bootMs(): number;
  readonly bootId: string;
  trust(): ClockTrust;
}

/** Wall time before this is certainly wrong: the software did not exist. */
const BUILT_AFTER_MS = Date.UTC(2026, 9, 1);
const TIME_SYNC_FLAG = "/run/systemd/timesync/synchronized";
const REFRESH_MS = 1000;
/** One of them is not kept waiting. */
const FIRST_LOOKS = 5;

/** Whatever the clock says, a reading is of no later time. */
const LATEST_MS = Date.UTC(2100, 0, 1);

/**
 * The time that a reading's own is held against, to find those from the future. A clock that is certainly wrong can not
 * tell: a gateway that starts in 1970 would refuse all that sensors with right clocks say. Nor can one that was set back
 * since the start: then the time goes on as it was before.
 */
export function readingJudge(clock: Pick<Clock, "bootMs" | "trust">): (receivedMs: number) => number {
  let aheadMs = Number.NEGATIVE_INFINITY;
  return (receivedMs) => {
    if (clock.trust() === "unsynced") return LATEST_MS;
    const bootMs = clock.bootMs();
    aheadMs = Math.max(aheadMs, receivedMs - bootMs);
    return bootMs + aheadMs;
  };
}

/**
 * The clock of this machine. Node's monotonic clock stops in suspend (CLOCK_MONOTONIC), so its distance to
 * /proc/uptime (CLOCK_BOOTTIME, resolution 10 ms) is looked at once a second and followed when it grows.
 */
export function systemClock(): Clock {
  const boot = bootClock({ monotonicMs: () => performance.now(), uptimeMs });
  let checkedAt = performance.now();
  let trust = readTrust();
  return {
    bootId: readBootId(),
    wallMs: () => Date.now(),
    bootMs: () => {
      const nowMs = performance.now();
      if (nowMs - checkedAt <= REFRESH_MS) return boot.nowMs();
      checkedAt = nowMs;
      boot.look();
      trust = readTrust();
      return boot.nowMs();
    },
    trust: () => trust,
  };
}

interface BootSources {
  readonly monotonicMs: () => number;
  readonly uptimeMs: () => number;
}

/**
 * Boot time out of a clock that stops in suspend and one that is dear to read. Never ahead of the truth: this process may
 * be kept waiting for any time between two reads, which makes a look too small and not too large, and so the largest one
 * is the best. A deadline on a clock that had run ahead would be missed after the next start, on one that is right.
 */
export function bootClock({ monotonicMs, uptimeMs: readUptimeMs }: BootSources): { nowMs(): number; look(): void } {
  let offsetMs = Number.NEGATIVE_INFINITY;
  const look = (): void => {
    const uptime = readUptimeMs();
    offsetMs = Math.max(offsetMs, uptime - monotonicMs());
  };
  for (let first = 0; first < FIRST_LOOKS; first++) look();
  return { nowMs: () => monotonicMs() + offsetMs, look };
}

function uptimeMs(): number {
  const first = readFileSync("/proc/uptime", "latin1").split(" ", 1)[0] ?? "0";
  return Number(first) * 1000;
}

function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
}

function readTrust(): ClockTrust {
  if (Date.now() < BUILT_AFTER_MS) return "unsynced";
  return existsSync(TIME_SYNC_FLAG) ? "synced" : "unknown";
}
