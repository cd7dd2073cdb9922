import type { CatalogueCheck } from "./catalogue.ts";

export const machineChecks = {
  "machine.node": {
    looksAt: "the version of Node.js that runs Holdfast, against package.json",
    problems: {
      unsupported: {
        severity: "error",
        when: "the version is not one that Holdfast runs on",
        todo: "Install the package, which brings its own Node.js, or run a version {range}.",
      },
    },
  },
  "machine.architecture": {
    looksAt: "the processor's architecture",
    problems: {
      unsupported: {
        severity: "error",
        when: "it is neither amd64 nor arm64",
        todo: "Run Holdfast on a 64-bit Debian for amd64 or arm64.",
      },
    },
  },
  "machine.cpu": {
    looksAt: "the instructions that inference uses, in /proc/cpuinfo",
    problems: {
      slow: {
        severity: "warning",
        when: "AVX2 (amd64) or asimd (arm64) is missing",
        todo: "Expect slower models and measure them with `holdfast status`, or, on a virtual machine, give it the host's processor type.",
      },
    },
  },
  "machine.libc": {
    looksAt: "the C library",
    problems: {
      unsupported: {
        severity: "error",
        when: "it is not glibc, or older than 2.34, which the database library is linked with",
        todo: "Run Holdfast on Debian 12 or later, or Ubuntu 22.04 or later.",
      },
    },
  },
  "machine.clock": {
    looksAt:
      "whether the wall clock can be right: not before 2025, not after 2100, not before the newest record of the log",
    problems: {
      implausible: {
        severity: "error",
        when: "it can not be right",
        todo: "Set it with `timedatectl set-time 'YYYY-MM-DD HH:MM:SS'` in UTC, and check the battery of the machine's clock.",
      },
    },
  },
  "machine.clock-sync": {
    looksAt: "whether the clock is kept by a time server: /run/systemd/timesync/synchronized, else `timedatectl show`",
    problems: {
      unsynchronised: {
        severity: "warning",
        when: "no time server keeps the clock",
        todo: "Run `timedatectl set-ntp true` (with systemd-timesyncd or chrony installed) and check that UDP port 123 is let through.",
      },
    },
  },
  "machine.memory": {
    looksAt: "MemAvailable in /proc/meminfo, and swap",
    problems: {
      low: {
        severity: "warning",
        when: "less than 192 MiB are available",
        todo: "End what else uses memory (`ps -eo rss,comm --sort=-rss | head`), or lower hosts.memoryMb.",
      },
      out: {
        severity: "error",
        when: "less than 64 MiB are available",
        todo: "End what uses the memory (`ps -eo rss,comm --sort=-rss | head`): inference hosts are about to be killed.",
      },
    },
  },
  "machine.memory-limit": {
    looksAt:
      "MemoryMax and MemoryHigh of the service, against hosts.memoryMb of each lane in use and 192 MiB for the daemon",
    problems: {
      tight: {
        severity: "warning",
        when: "the service may not use as much as its inference hosts are allowed",
        todo: "Raise it in a drop-in (`systemctl edit holdfast`: MemoryMax={needed}M), or lower hosts.memoryMb.",
      },
    },
  },
} as const satisfies Readonly<Record<string, CatalogueCheck>>;
