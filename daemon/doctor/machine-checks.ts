import { existsSync, readFileSync } from "node:fs";
import type { Check } from "./check.ts";
import { skipped } from "./finding.ts";
import {
  architectureFinding,
  clockSyncFinding,
  cpuFinding,
  libcFinding,
  memoryFinding,
  memoryLimitFinding,
  nodeFinding,
} from "./machine.ts";
import { runProgram } from "./run-program.ts";
import { textOf } from "./site.ts";

const TIMEDATECTL_MS = 4000;

export const machineChecks: readonly Check[] = [
  {
    tells: ["machine.node", "machine.architecture", "machine.cpu", "machine.libc", "machine.memory"],
    withinMs: 5000,
    look: () => [
      nodeFinding(process.version, engines()),
      architectureFinding(process.arch),
      cpuFinding(process.arch, textOf("/proc/cpuinfo")),
      libcFinding(glibcVersion()),
      memoryFinding(textOf("/proc/meminfo")),
    ],
  },
  {
    tells: ["machine.clock-sync"],
    withinMs: 6000,
    look: async () => {
      const { code, out } = await runProgram(
        "timedatectl",
        ["show", "--property=NTPSynchronized", "--value"],
        TIMEDATECTL_MS,
      );
      return [clockSyncFinding(existsSync("/run/systemd/timesync/synchronized"), code === 0 ? out.trim() : undefined)];
    },
  },
  {
    tells: ["machine.memory-limit"],
    withinMs: 2000,
    look: ({ unit, loaded }) => {
      if (unit === undefined) return [skipped("machine.memory-limit", "systemd does not run it")];
      if (loaded === undefined) return [skipped("machine.memory-limit", "the configuration is not known")];
      const { gateway, generation } = loaded.config;
      const agents = Object.values(generation.agents).filter((agent) => agent.enabled && agent.model !== undefined);
      const used = new Set(agents.map((agent) => generation.models[agent.model ?? ""]?.lane ?? "main"));
      return [memoryLimitFinding([unit["MemoryMax"], unit["MemoryHigh"]], { ...gateway.hosts, used: [...used] })];
    },
  },
];

/** Of the package.json above this file, in the sources, in dist and in the package. */
function engines(): string | undefined {
  for (const up of ["../../package.json", "../../../package.json"]) {
    try {
      const text = readFileSync(new URL(up, import.meta.url), "utf8");
      return (JSON.parse(text) as { engines?: { node?: string } }).engines?.node;
    } catch {
      // Not at this depth: dist is one level deeper than the sources.
    }
  }
  return undefined;
}

function glibcVersion(): string | undefined {
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return report.header.glibcVersionRuntime;
}
