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
const SUSPEND_MS = 100;
const REFRESH_MS = 1000;

/**
 * The clock of this machine. Node's monotonic clock stops in suspend (CLOCK_MONOTONIC), so its distance to
 * /proc/uptime (CLOCK_BOOTTIME, resolution 10 ms) is looked at once a second and followed when it grows.
 */
export function systemClock(): Clock {
  let offsetMs = uptimeMs() - performance.now();
  let checkedAt = performance.now();
  let trust = readTrust();
  const refresh = (nowMs: number): void => {
    checkedAt = nowMs;
    const measured = uptimeMs() - nowMs;
    if (measured - offsetMs > SUSPEND_MS) offsetMs = measured;
    trust = readTrust();
  };
  return {
    bootId: readBootId(),
    wallMs: () => Date.now(),
    bootMs: () => {
      const nowMs = performance.now();
      if (nowMs - checkedAt > REFRESH_MS) refresh(nowMs);
      return nowMs + offsetMs;
    },
    trust: () => trust,
  };
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
