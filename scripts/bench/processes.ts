import { readdirSync, readFileSync } from "node:fs";

const TICK_US = 10_000;

/** A process and all that it started, read from /proc. */
export function processTree(pid: number): number[] {
  const all = [pid];
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      for (const child of readFileSync(`/proc/${pid}/task/${task}/children`, "latin1").split(" ")) {
        if (child !== "") all.push(...processTree(Number(child)));
      }
    }
  } catch {
    // It ended meanwhile.
  }
  return all;
}

function statCpuUs(path: string): number {
  const text = readFileSync(path, "latin1");
  // The name may hold spaces and brackets; the fields begin behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** CPU of a program so far, by the part that used it. */
export interface CpuUse {
  readonly totalUs: number;
  readonly mainUs: number;
  readonly writerUs: number;
  readonly hostUs: number;
  /** Garbage collector, compiler, other threads. */
  readonly otherUs: number;
}

/** `writer` is `pid/task/tid`, as the writing thread names itself. */
export function cpuUse(pid: number, writer: string | undefined): CpuUse {
  const totalUs = programCpuUs(pid);
  const hostUs = totalUs - statCpuUs(`/proc/${pid}/stat`);
  const mainUs = statCpuUs(`/proc/${pid}/task/${pid}/stat`);
  const writerUs = writer === undefined ? 0 : statCpuUs(`/proc/${writer}/stat`);
  return { totalUs, mainUs, writerUs, hostUs, otherUs: totalUs - hostUs - mainUs - writerUs };
}

/** utime + stime of a process and all that it started, in microseconds. */
export function programCpuUs(pid: number): number {
  return sumOver(pid, (one) => statCpuUs(`/proc/${one}/stat`));
}

export function cpuDifference(later: CpuUse, earlier: CpuUse): CpuUse {
  return {
    totalUs: later.totalUs - earlier.totalUs,
    mainUs: later.mainUs - earlier.mainUs,
    writerUs: later.writerUs - earlier.writerUs,
    hostUs: later.hostUs - earlier.hostUs,
    otherUs: later.otherUs - earlier.otherUs,
  };
}

/** Proportional set size of all processes of a program. */
export function programPssBytes(pid: number): number {
  return sumOver(pid, (one) => kilobytes(`/proc/${one}/smaps_rollup`, "Pss:"));
}

/** Resident memory of all processes of a program; pages that they share count more than once. */
export function programResidentBytes(pid: number): number {
  return sumOver(pid, (one) => kilobytes(`/proc/${one}/status`, "VmRSS:"));
}

export function programHandles(pid: number): number {
  return sumOver(pid, (one) => readdirSync(`/proc/${one}/fd`).length);
}

/** Bytes that a process caused to be sent to the disk. */
export function writtenBytes(ioText: string): number {
  return Number(/^write_bytes: (\d+)$/m.exec(ioText)?.[1] ?? 0);
}

function kilobytes(path: string, name: string): number {
  const line = readFileSync(path, "latin1")
    .split("\n")
    .find((text) => text.startsWith(name));
  return Number(line?.replace(/\D+/g, "") ?? 0) * 1024;
}

function sumOver(pid: number, measure: (pid: number) => number): number {
  let sum = 0;
  for (const one of processTree(pid)) {
    try {
      sum += measure(one);
    } catch {
      // It ended meanwhile.
    }
  }
  return sum;
}
