import { TICKS } from "./counters.ts";
import type { Look } from "./meter.ts";

const DAY_SECONDS = 86_400;
const MB = 1_048_576;
/** store.maxBytes, where nobody sets it. */
const BUDGET_BYTES = 1_073_741_824;
/** What of it is the database's: daemon/store/writer.ts. */
const DATABASE_SHARE = 0.8;

/** What a service took between two looks. */
export interface Line {
  readonly seconds: number;
  readonly decisionsPerSecond: number;
  readonly daemonCpu: number;
  readonly hostsCpu: number;
  /** Programs that ended meanwhile: systemd-notify. */
  readonly endedCpu: number;
  readonly waitsPerSecond: number;
  readonly pssMb: number;
  readonly daemonPssMb: number;
  readonly diskBytesPerSecond: number;
  readonly diskMbPerDay: number;
  readonly diskBytesPerDecision: number | null;
  readonly flushesPerSecond: number;
  /** What the processes made dirty, before the file system had its part. */
  readonly processBytesPerSecond: number;
  readonly journalBytesPerSecond: number;
  readonly logBytesPerDecision: number | null;
  readonly logMbPerDay: number;
  /** Null: the log does not grow. */
  readonly daysInDefaultBudget: number | null;
}

export function figuresOf(before: Look, after: Look): Line {
  const seconds = (after.atMs - before.atMs) / 1000;
  const perSecond = (of: (look: Look) => number): number => (of(after) - of(before)) / seconds;
  const cpu = (of: (look: Look) => number): number => round((perSecond(of) / TICKS) * 100, 2);
  const decisions = after.decided - before.decided;
  const each = (bytes: number): number | null => (decisions === 0 ? null : Math.round(bytes / decisions));
  const logBytes = after.logBytes - before.logBytes;
  const diskBytes = after.disk.writtenBytes - before.disk.writtenBytes;
  const processes = ({ daemon, hosts }: Look): number => sum([daemon, ...hosts].map((one) => one.writeBytes));
  const logMbPerDay = perDay(logBytes / seconds);
  return {
    seconds: round(seconds, 1),
    decisionsPerSecond: round((decisions * 1000) / (after.decidedAtMs - before.decidedAtMs), 2),
    daemonCpu: cpu(({ daemon }) => daemon.ticks),
    hostsCpu: cpu(({ hosts }) => sum(hosts.map((one) => one.ticks))),
    endedCpu: cpu(({ daemon }) => daemon.endedTicks),
    waitsPerSecond: round(
      perSecond(({ daemon, hosts }) => sum([daemon, ...hosts].map((one) => one.waits))),
      1,
    ),
    pssMb: Math.round(sum([after.daemon, ...after.hosts].map((one) => one.pssBytes)) / MB),
    daemonPssMb: Math.round(after.daemon.pssBytes / MB),
    diskBytesPerSecond: Math.round(diskBytes / seconds),
    diskMbPerDay: perDay(diskBytes / seconds),
    diskBytesPerDecision: each(diskBytes),
    flushesPerSecond: round(
      perSecond(({ disk }) => disk.flushes),
      2,
    ),
    processBytesPerSecond: Math.round(perSecond(processes)),
    journalBytesPerSecond: Math.round(perSecond(({ journal }) => journal?.writeBytes ?? 0)),
    logBytesPerDecision: each(logBytes),
    logMbPerDay,
    daysInDefaultBudget:
      logMbPerDay <= 0 ? null : round((BUDGET_BYTES * DATABASE_SHARE) / MB / logMbPerDay, logMbPerDay > 500 ? 1 : 0),
  };
}

/** For who reads along: the names say what is meant, `null` what can not be said. */
export function lineText(line: Line): string {
  return Object.entries(line)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

function perDay(bytesPerSecond: number): number {
  const megabytes = (bytesPerSecond * DAY_SECONDS) / MB;
  return round(megabytes, megabytes < 10 ? 1 : 0);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
