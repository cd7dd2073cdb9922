/** What a vital measures. Ranges are physical bounds, not what is healthy; null where there is none. */
export interface VitalField {
  readonly unit: string;
  readonly min: number | null;
  readonly max: number | null;
  readonly description: string;
}

const percent = (description: string): VitalField => ({ unit: "%", min: 0, max: 100, description });
const amount = (unit: string, description: string): VitalField => ({ unit, min: 0, max: null, description });

/** Every vital by name, in the order in which they are emitted. */
export const vitalFields = {
  cpu_busy: percent("Time in which the cores worked, averaged over the cores"),
  cpu_iowait: percent("Time in which cores were idle while a task waited for a disk"),
  cpu_steal: percent("Time that a hypervisor gave to others"),
  load_per_core: amount("1", "Load average of the last minute, divided by the cores"),
  runnable_per_core: amount("1", "Tasks that run or want to, at this moment, divided by the cores"),
  processes_blocked: amount("1", "Tasks that wait for a disk at this moment"),
  context_switches: amount("1/s", "Switches between tasks, all cores"),
  psi_cpu: percent("Time in which some task waited for a core"),
  psi_memory: percent("Time in which some task waited for memory"),
  psi_io: percent("Time in which some task waited for a disk"),
  memory_available: percent("Memory that can be had without swapping, of all memory"),
  swap_used: percent("Swap in use, of all swap; 0 where there is none"),
  major_faults: amount("1/s", "Page faults that had to read from a disk"),
  memory_refaults: amount("1/s", "Pages read again that had been dropped for lack of memory"),
  disk_busy: percent("Time in which the busiest disk had work"),
  disk_read: amount("kB/s", "Read from all disks (kB = 1000 bytes)"),
  disk_write: amount("kB/s", "Written to all disks (kB = 1000 bytes)"),
  disk_free: percent("Space left for the data directory, of its file system"),
  network_errors: amount("1/s", "Receive and transmit errors of all interfaces but loopback"),
  temperature: { unit: "degC", min: -60, max: 200, description: "The hottest thermal zone or sensor of the machine" },
  loop_delay: amount("ms", "Longest delay of the daemon's own event loop since the last sample"),
} as const satisfies Record<string, VitalField>;

export type VitalName = keyof typeof vitalFields;
export const vitalNames = Object.keys(vitalFields) as readonly VitalName[];

/** Texts of the kernel's files as read; undefined where a file is missing. */
export interface VitalTexts {
  readonly stat: string | undefined;
  readonly loadavg: string | undefined;
  readonly meminfo: string | undefined;
  readonly vmstat: string | undefined;
  readonly pressureCpu: string | undefined;
  readonly pressureMemory: string | undefined;
  readonly pressureIo: string | undefined;
  readonly diskstats: string | undefined;
  readonly netDev: string | undefined;
  /** Millidegrees, one number a sensor. */
  readonly temperatures: readonly string[];
}

/** What is not text: measured by the caller at the same moment. */
export interface VitalReadings {
  readonly bootMs: number;
  readonly diskFreePercent: number | undefined;
  readonly loopDelayMs: number | undefined;
}

/** One moment of the machine. Counters in here mean something only against an earlier moment. */
export interface VitalSnapshot extends VitalReadings {
  readonly cpu: CpuTimes | undefined;
  readonly loadOne: number | undefined;
  readonly memory: { readonly availablePercent: number; readonly swapUsedPercent: number } | undefined;
  readonly faults: { readonly major: number; readonly refaults: number } | undefined;
  readonly pressureCpuUs: number | undefined;
  readonly pressureMemoryUs: number | undefined;
  readonly pressureIoUs: number | undefined;
  readonly disks: ReadonlyMap<string, DiskCounters> | undefined;
  readonly networkErrors: number | undefined;
  readonly temperature: number | undefined;
}

interface CpuTimes {
  readonly busy: number;
  readonly idle: number;
  readonly iowait: number;
  readonly steal: number;
  readonly cores: number;
  readonly contextSwitches: number;
  readonly running: number;
  readonly blocked: number;
}

interface DiskCounters {
  readonly readSectors: number;
  readonly writtenSectors: number;
  readonly busyMs: number;
}

/** Texts → counters. `wholeDisks`: names in /proc/diskstats to count, so that a partition isn't counted twice. */
export function parseSnapshot(
  texts: VitalTexts,
  readings: VitalReadings,
  wholeDisks: ReadonlySet<string>,
): VitalSnapshot {
  return {
    bootMs: readings.bootMs,
    diskFreePercent: readings.diskFreePercent,
    loopDelayMs: readings.loopDelayMs,
    cpu: parseStat(texts.stat),
    loadOne: finite(texts.loadavg?.split(" ", 1)[0]),
    memory: parseMeminfo(texts.meminfo),
    faults: parseVmstat(texts.vmstat),
    pressureCpuUs: parsePressure(texts.pressureCpu),
    pressureMemoryUs: parsePressure(texts.pressureMemory),
    pressureIoUs: parsePressure(texts.pressureIo),
    disks: parseDiskstats(texts.diskstats, wholeDisks),
    networkErrors: parseNetDev(texts.netDev),
    temperature: parseTemperatures(texts.temperatures),
  };
}

function parseStat(text: string | undefined): CpuTimes | undefined {
  if (text === undefined || !text.startsWith("cpu ")) return undefined;
  const times = text.slice(0, lineEnd(text, 0)).split(/ +/);
  const at = (index: number): number => Number(times[index] ?? 0);
  // guest time is already part of user and nice
  const busy = at(1) + at(2) + at(3) + at(6) + at(7);
  const cpu = {
    busy,
    idle: at(4),
    iowait: at(5),
    steal: at(8),
    cores: text.match(/^cpu\d/gm)?.length ?? 0,
    contextSwitches: counter(text, "ctxt"),
    running: counter(text, "procs_running"),
    blocked: counter(text, "procs_blocked"),
  };
  return Number.isFinite(busy + cpu.idle + cpu.iowait + cpu.steal) && cpu.cores > 0 ? cpu : undefined;
}

function parseMeminfo(text: string | undefined): VitalSnapshot["memory"] {
  if (text === undefined) return undefined;
  const total = counter(text, "MemTotal:");
  const available = counter(text, "MemAvailable:");
  if (!(total > 0) || !Number.isFinite(available)) return undefined;
  const swapTotal = counter(text, "SwapTotal:");
  const swapUsedPercent = swapTotal > 0 ? bounded((100 * (swapTotal - counter(text, "SwapFree:"))) / swapTotal) : 0;
  return { availablePercent: bounded((100 * available) / total), swapUsedPercent };
}

function parseVmstat(text: string | undefined): VitalSnapshot["faults"] {
  if (text === undefined) return undefined;
  const file = counter(text, "workingset_refault_file");
  // kernels before 5.9 have one counter for both kinds of pages
  const refaults = Number.isFinite(file)
    ? file + counter(text, "workingset_refault_anon")
    : counter(text, "workingset_refault");
  return { major: counter(text, "pgmajfault"), refaults };
}

/** Microseconds in which some task was stalled, since boot. */
function parsePressure(text: string | undefined): number | undefined {
  return finite(text?.match(/^some .*total=(\d+)/m)?.[1]);
}

function parseDiskstats(text: string | undefined, wholeDisks: ReadonlySet<string>): VitalSnapshot["disks"] {
  if (text === undefined) return undefined;
  const disks = new Map<string, DiskCounters>();
  for (const line of text.split("\n")) {
    const columns = line.trim().split(/ +/);
    const name = columns[2];
    if (name === undefined || columns.length < 14 || !wholeDisks.has(name)) continue;
    const disk = { readSectors: Number(columns[5]), writtenSectors: Number(columns[9]), busyMs: Number(columns[12]) };
    if (Number.isFinite(disk.readSectors + disk.writtenSectors + disk.busyMs)) disks.set(name, disk);
  }
  return disks.size > 0 ? disks : undefined;
}

function parseNetDev(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  let errors = 0;
  let interfaces = 0;
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0 || line.slice(0, colon).trim() === "lo") continue;
    const columns = line
      .slice(colon + 1)
      .trim()
      .split(/ +/);
    errors += Number(columns[2]) + Number(columns[10]);
    interfaces += 1;
  }
  return interfaces > 0 && Number.isFinite(errors) ? errors : undefined;
}

function parseTemperatures(texts: readonly string[]): number | undefined {
  let hottest: number | undefined;
  for (const text of texts) {
    const degrees = Number.parseInt(text, 10) / 1000;
    // a sensor that is switched off says -273.15, one that is broken says absurd things
    if (degrees > -60 && degrees < 200 && (hottest === undefined || degrees > hottest)) hottest = degrees;
  }
  return hottest;
}

/**
 * Two moments → values in the order of `vitalNames`, NaN where a vital is absent: its file is missing, or its
 * counter was set back in between.
 */
export function vitalsBetween(before: VitalSnapshot, now: VitalSnapshot): number[] {
  const values: Record<VitalName, number | undefined> = {
    ...cpuVitals(before.cpu, now.cpu, now.bootMs - before.bootMs),
    ...diskVitals(before.disks, now.disks, now.bootMs - before.bootMs),
    load_per_core: divide(now.loadOne, now.cpu?.cores),
    psi_cpu: stalled(before.pressureCpuUs, now.pressureCpuUs, now.bootMs - before.bootMs),
    psi_memory: stalled(before.pressureMemoryUs, now.pressureMemoryUs, now.bootMs - before.bootMs),
    psi_io: stalled(before.pressureIoUs, now.pressureIoUs, now.bootMs - before.bootMs),
    memory_available: now.memory?.availablePercent,
    swap_used: now.memory?.swapUsedPercent,
    major_faults: perSecond(before.faults?.major, now.faults?.major, now.bootMs - before.bootMs),
    memory_refaults: perSecond(before.faults?.refaults, now.faults?.refaults, now.bootMs - before.bootMs),
    disk_free: now.diskFreePercent,
    network_errors: perSecond(before.networkErrors, now.networkErrors, now.bootMs - before.bootMs),
    temperature: now.temperature,
    loop_delay: now.loopDelayMs,
  };
  return vitalNames.map((name) => values[name] ?? Number.NaN);
}

type CpuVital =
  | "cpu_busy"
  | "cpu_iowait"
  | "cpu_steal"
  | "runnable_per_core"
  | "processes_blocked"
  | "context_switches";

function cpuVitals(
  before: CpuTimes | undefined,
  now: CpuTimes | undefined,
  elapsedMs: number,
): Record<CpuVital, number | undefined> {
  // the kernel's idle and iowait may step back a little when a core goes to sleep: that is no time, not a wrap
  const spent = (name: "busy" | "idle" | "iowait" | "steal"): number =>
    before === undefined || now === undefined ? Number.NaN : Math.max(0, now[name] - before[name]);
  const total = spent("busy") + spent("idle") + spent("iowait") + spent("steal");
  const share = (name: "busy" | "iowait" | "steal"): number | undefined =>
    total > 0 ? (100 * spent(name)) / total : undefined;
  return {
    cpu_busy: share("busy"),
    cpu_iowait: share("iowait"),
    cpu_steal: share("steal"),
    runnable_per_core: divide(now?.running, now?.cores),
    processes_blocked: now?.blocked,
    context_switches: perSecond(before?.contextSwitches, now?.contextSwitches, elapsedMs),
  };
}

type DiskVital = "disk_busy" | "disk_read" | "disk_write";

function diskVitals(
  before: VitalSnapshot["disks"],
  now: VitalSnapshot["disks"],
  elapsedMs: number,
): Record<DiskVital, number | undefined> {
  if (before === undefined || now === undefined || elapsedMs <= 0) {
    return { disk_busy: undefined, disk_read: undefined, disk_write: undefined };
  }
  let busy = 0;
  let read = 0;
  let written = 0;
  for (const [name, disk] of now) {
    const earlier = before.get(name);
    // a disk that was plugged in since has no past to compare with
    if (earlier === undefined) continue;
    busy = Math.max(busy, increase(earlier.busyMs, disk.busyMs));
    read += increase(earlier.readSectors, disk.readSectors);
    written += increase(earlier.writtenSectors, disk.writtenSectors);
  }
  // sectors are 512 bytes here, whatever the disk's own: 512 bytes a ms are 0.512 kB/ms
  return {
    disk_busy: bounded((100 * busy) / elapsedMs),
    disk_read: (read * 512) / elapsedMs,
    disk_write: (written * 512) / elapsedMs,
  };
}

const WRAP_32 = 2 ** 32;

/** Growth of a counter; over its 32-bit end where it can be that, NaN when it was set back. */
export function increase(before: number, now: number): number {
  if (now >= before) return now - before;
  const wrapped = now + WRAP_32 - before;
  // no counter here moves half its range between two samples
  return before < WRAP_32 && wrapped < WRAP_32 / 2 ? wrapped : Number.NaN;
}

function perSecond(before: number | undefined, now: number | undefined, elapsedMs: number): number | undefined {
  if (before === undefined || now === undefined || elapsedMs <= 0) return undefined;
  return (1000 * increase(before, now)) / elapsedMs;
}

function stalled(beforeUs: number | undefined, nowUs: number | undefined, elapsedMs: number): number | undefined {
  if (beforeUs === undefined || nowUs === undefined || elapsedMs <= 0) return undefined;
  return bounded(increase(beforeUs, nowUs) / (10 * elapsedMs));
}

const bounded = (value: number): number => Math.min(100, Math.max(0, value));

function divide(value: number | undefined, by: number | undefined): number | undefined {
  return value === undefined || by === undefined || by <= 0 ? undefined : value / by;
}

function finite(text: string | undefined): number | undefined {
  const value = text === undefined || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** The number after a name at the start of a line; NaN where there is none. */
function counter(text: string, name: string): number {
  const at = text.startsWith(name) ? 0 : text.indexOf(`\n${name} `) + 1;
  if (at === 0 && !text.startsWith(name)) return Number.NaN;
  return Number.parseInt(text.slice(at + name.length, lineEnd(text, at)), 10);
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}
