import { type Finding, ok, problem, skipped } from "./finding.ts";
import { mebibytes } from "./words.ts";

const OLDEST_LIBC = [2, 34] as const;
const EARLIEST_MS = Date.UTC(2025, 0, 1);
const LATEST_MS = Date.UTC(2100, 0, 1);
/** The log may be a little ahead of a clock that was put back. */
const BEHIND_LOG_MS = 3_600_000;
const LOW_BYTES = 192 * 1_048_576;
const OUT_BYTES = 64 * 1_048_576;
const DAEMON_MIB = 192;

/** `range`: package.json's engines.node: comparators that all have to hold, or one version. */
export function nodeFinding(version: string, range: string | undefined): Finding {
  if (range === undefined) return skipped("machine.node", "package.json names no version");
  if (isWithin(version, range)) return ok("machine.node", `${version} (${range})`);
  return problem("machine.node", "unsupported", { found: version, expected: range, values: { range } });
}

function isWithin(version: string, range: string): boolean {
  return range.split(/\s+/).every((part) => {
    const [, sign = "", wanted = ""] = /^(>=|<=|<|>|=|)(\d[\d.]*)$/.exec(part) ?? [];
    if (wanted === "") return false;
    const order = compare(version, wanted);
    if (sign === ">=") return order >= 0;
    if (sign === "<") return order < 0;
    if (sign === "<=") return order <= 0;
    if (sign === ">") return order > 0;
    return order === 0;
  });
}

function compare(one: string, other: string): number {
  const [a, b] = [one, other].map((text) => text.replace(/^v/, "").split(".").map(Number)) as [number[], number[]];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function architectureFinding(architecture: string): Finding {
  const name = { x64: "amd64", arm64: "arm64" }[architecture];
  if (name !== undefined) return ok("machine.architecture", name);
  return problem("machine.architecture", "unsupported", { found: architecture, expected: "amd64 or arm64" });
}

/** `cpuinfo`: the text of /proc/cpuinfo. */
export function cpuFinding(architecture: string, cpuinfo: string): Finding {
  const flags = new Set(/^(?:flags|Features)\s*:\s*(.+)$/m.exec(cpuinfo)?.[1]?.split(/\s+/));
  if (flags.size === 0) return skipped("machine.cpu", "/proc/cpuinfo does not say");
  const wanted = architecture === "arm64" ? "asimd" : "avx2";
  const useful = ["avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "asimd", "asimddp", "i8mm"];
  const has = useful.filter((flag) => flags.has(flag)).join(" ");
  if (flags.has(wanted)) return ok("machine.cpu", has);
  return problem("machine.cpu", "slow", { found: has === "" ? "none of them" : has, expected: wanted });
}

/** `version`: undefined where it is another library than glibc. */
export function libcFinding(version: string | undefined): Finding {
  const oldest = OLDEST_LIBC.join(".");
  const expected = `glibc ${oldest} or later`;
  if (version === undefined) return problem("machine.libc", "unsupported", { found: "not glibc", expected });
  if (compare(version, oldest) >= 0) return ok("machine.libc", `glibc ${version}`);
  return problem("machine.libc", "unsupported", { found: `glibc ${version}`, expected });
}

/** `newestMs`: wall time of the newest record of the log, where there is one. */
export function clockFinding(nowMs: number, newestMs: number | undefined): Finding {
  const found = new Date(nowMs).toISOString();
  const wrong = (expected: string) => problem("machine.clock", "implausible", { found, expected });
  if (nowMs < EARLIEST_MS || nowMs > LATEST_MS) return wrong("a time between 2025 and 2100");
  if (newestMs !== undefined && newestMs <= LATEST_MS && nowMs < newestMs - BEHIND_LOG_MS)
    return wrong(`after ${new Date(newestMs).toISOString()}, the time of the newest record`);
  return ok("machine.clock", found);
}

/** `byTimesyncd`: systemd-timesyncd has set it since the boot; `told`: NTPSynchronized of timedatectl. */
export function clockSyncFinding(byTimesyncd: boolean, told: string | undefined): Finding {
  if (byTimesyncd) return ok("machine.clock-sync", "kept by systemd-timesyncd");
  if (told === "yes") return ok("machine.clock-sync", "the kernel's clock is synchronised");
  if (told !== "no") return skipped("machine.clock-sync", "nothing here tells: no timesyncd, no timedatectl");
  const expected = "a clock that a time server keeps";
  return problem("machine.clock-sync", "unsynchronised", { found: "NTPSynchronized=no", expected });
}

/** `meminfo`: the text of /proc/meminfo. */
export function memoryFinding(meminfo: string): Finding {
  const available = kibibytesOf(meminfo, "MemAvailable");
  if (available === undefined) return skipped("machine.memory", "/proc/meminfo does not say");
  const bytes = available * 1024;
  const swap = mebibytes((kibibytesOf(meminfo, "SwapFree") ?? 0) * 1024);
  const found = `${mebibytes(bytes)} available, ${swap} of swap free`;
  if (bytes < OUT_BYTES)
    return problem("machine.memory", "out", { found, expected: `at least ${mebibytes(OUT_BYTES)}` });
  if (bytes < LOW_BYTES)
    return problem("machine.memory", "low", { found, expected: `at least ${mebibytes(LOW_BYTES)}` });
  return ok("machine.memory", found);
}

function kibibytesOf(meminfo: string, name: string): number | undefined {
  const text = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(meminfo)?.[1];
  return text === undefined ? undefined : Number(text);
}

export interface HostMemory {
  readonly memoryMb: number;
  readonly lanes: Readonly<Record<string, { readonly memoryMb?: number | undefined }>>;
  /** Lanes that models of agents run in. */
  readonly used: readonly string[];
}

/** `limits`: MemoryMax and MemoryHigh as systemctl shows them. */
export function memoryLimitFinding(limits: readonly (string | undefined)[], hosts: HostMemory): Finding {
  const set = limits.map(Number).filter((bytes) => Number.isSafeInteger(bytes) && bytes > 0);
  if (set.length === 0) return ok("machine.memory-limit", "the service has no limit");
  const lanes = hosts.used.map((lane) => hosts.lanes[lane]?.memoryMb ?? hosts.memoryMb);
  const needed = DAEMON_MIB + lanes.reduce((sum, one) => sum + one, 0);
  const least = Math.min(...set);
  const found = `${mebibytes(least)} at most`;
  if (least >= needed * 1_048_576) return ok("machine.memory-limit", found);
  const expected = `${needed} MiB: ${DAEMON_MIB} MiB and hosts.memoryMb for ${lanes.length} ${lanes.length === 1 ? "lane" : "lanes"}`;
  return problem("machine.memory-limit", "tight", { found, expected, values: { needed } });
}
