import { cpSync, mkdirSync } from "node:fs";
import { FakeTime } from "../act/fake-time.ts";
import type { Case } from "./case.ts";
import { TOOLS } from "./site.ts";

const SYNCHRONISED = "/run/systemd/timesync/synchronized";

export const machineCases: readonly Case[] = [
  clockAt("the clock begins again at 1970", "1970-01-02 03:04:05"),
  clockAt("the clock is a year behind the log", "2025-11-01 00:00:00"),
  {
    name: "no time server keeps the clock",
    check: "machine.clock-sync",
    problem: "unsynchronised",
    todo: "timedatectl set-ntp true",
    break: ({ machine }) => {
      machine.run("rm", SYNCHRONISED);
      // What the kernel of this machine says is no part of what is tried.
      machine.run(
        "sh",
        "-c",
        "printf '#!/bin/sh\\necho no\\n' > /usr/local/timedatectl && chmod 0755 /usr/local/timedatectl && mount --bind /usr/local/timedatectl /usr/bin/timedatectl",
      );
    },
    mend: ({ machine }) => {
      machine.run("umount", "/usr/bin/timedatectl");
      machine.run("touch", SYNCHRONISED);
    },
  },
  memory("little memory is left", 120_000, "low", "hosts.memoryMb"),
  memory("no memory is left", 30_000, "out", "ps -eo rss"),
  {
    name: "the service may use less memory than its hosts",
    check: "machine.memory-limit",
    problem: "tight",
    todo: "MemoryMax=704M",
    break: (site) => site.dropIn("memory", "[Service]\nMemoryMax=400M\n"),
    mend: (site) => site.removeDropIn("memory"),
  },
  {
    name: "a processor without AVX2",
    check: "machine.cpu",
    problem: "slow",
    todo: "holdfast status",
    break: (site) => {
      site.write("/run/trial-cpuinfo", "processor\t: 0\nflags\t\t: fpu sse sse2 ssse3 sse4_1\n");
      site.sh("mount --bind /run/trial-cpuinfo /proc/cpuinfo");
    },
    mend: (site) => void site.sh("umount /proc/cpuinfo"),
  },
];

function clockAt(name: string, time: string): Case {
  return {
    ...{ name, check: "machine.clock", problem: "implausible", todo: "timedatectl set-time" },
    break: ({ machine }) => {
      const library = FakeTime.libraryPath();
      if (library === undefined) return "can not be made here";
      mkdirSync(machine.path(TOOLS), { recursive: true });
      cpSync(library, machine.path(`${TOOLS}/faketime.so`));
      return [
        `LD_PRELOAD=${TOOLS}/faketime.so`,
        `FAKETIME=@${time}`,
        "DONT_FAKE_MONOTONIC=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "NO_FAKE_STAT=1",
      ];
    },
    mend: () => undefined,
  };
}

function memory(name: string, kibibytes: number, problem: string, todo: string): Case {
  return {
    ...{ name, check: "machine.memory", problem, todo },
    break: (site) => {
      site.write(
        "/run/trial-meminfo",
        `MemTotal: 1000000 kB\nMemFree: 1000 kB\nMemAvailable: ${kibibytes} kB\nSwapFree: 0 kB\n`,
      );
      site.sh("mount --bind /run/trial-meminfo /proc/meminfo");
    },
    mend: (site) => void site.sh("umount /proc/meminfo"),
  };
}
