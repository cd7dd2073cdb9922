import { existsSync, statSync } from "node:fs";
import { latchPath, readLatch } from "../latch-file.ts";
import { storeFiles } from "../store/files.ts";
import { RETURNED, version } from "../version.ts";
import type { Check } from "./check.ts";
import { type Finding, skipped } from "./finding.ts";
import { runProgram } from "./run-program.ts";
import {
  aboutUnit,
  busFinding,
  daemonFinding,
  dropInFinding,
  latchFinding,
  lockHolder,
  modelsFinding,
  stateFinding,
  unitFinding,
  versionFinding,
  watchdogFinding,
} from "./service.ts";
import { type Site, textOf } from "./site.ts";
import { UNIT } from "./unit.ts";

const ANALYZE_MS = 8000;
const OF_UNIT = ["service.unit", "service.state", "service.watchdog"] as const;

export const serviceChecks: readonly Check[] = [
  {
    tells: OF_UNIT,
    withinMs: 2000,
    look: ({ unit }) => {
      if (unit === undefined) return OF_UNIT.map((id) => skipped(id, "systemd does not run this configuration"));
      const first = unitFinding(unit);
      if (first.problem === "missing") return [first, ...OF_UNIT.slice(1).map((id) => skipped(id, "there is no unit"))];
      return [first, stateFinding(unit), watchdogFinding(unit)];
    },
  },
  { tells: ["service.drop-in"], withinMs: ANALYZE_MS + 1000, look: dropIns },
  {
    tells: ["service.version"],
    withinMs: 1000,
    look: ({ environment }) => [versionFinding(version(), environment[RETURNED])],
  },
  {
    tells: ["service.daemon", "service.bus", "service.models"],
    withinMs: 3000,
    look: ({ dataDirectory, status }) => {
      const lock = statSync(storeFiles(dataDirectory).lock, { throwIfNoEntry: false });
      const holder = lock === undefined ? undefined : lockHolder(textOf("/proc/locks"), lock.dev, lock.ino);
      return [daemonFinding(holder, status), busFinding(status), modelsFinding(status)];
    },
  },
  {
    tells: ["service.latch"],
    withinMs: 3000,
    look: ({ dataDirectory }) => {
      const { control, records } = storeFiles(dataDirectory);
      const file = latchPath(dataDirectory);
      return [latchFinding(readLatch(file), existsSync(control) || existsSync(records), file)];
    },
  },
];

async function dropIns({ unit }: Site): Promise<readonly Finding[]> {
  if (unit === undefined || unit["LoadState"] !== "loaded") return [skipped("service.drop-in", "no unit is loaded")];
  const { code, out, err, isLate } = await runProgram("systemd-analyze", ["verify", "--man=no", UNIT], ANALYZE_MS);
  if (code === undefined)
    return [skipped("service.drop-in", isLate ? "systemd-analyze does not end" : "there is no systemd-analyze")];
  return [dropInFinding(aboutUnit(`${out}\n${err}`))];
}
