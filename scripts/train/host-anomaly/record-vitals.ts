// Records this machine's vitals as CSV, one row a second, while load-machine.py makes the named phases:
//   node dist/scripts/train/host-anomaly/record-vitals.js --plan idle:60,cpu:75 --out file.csv
// A phase `natural` makes no load: whatever the machine does anyway.
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { systemClock } from "../../../daemon/clock.ts";
import { loopDelayMeter, VitalsSource } from "../../../daemon/sources/vitals.ts";
import { vitalNames } from "../../../daemon/sources/vitals-parse.ts";

const QUIET_PHASES = new Set(["idle", "natural", "settling"]);

const { values: options } = parseArgs({
  options: { plan: { type: "string" }, out: { type: "string" }, loader: { type: "string" } },
});
if (options.plan === undefined || options.out === undefined) throw new Error("needs --plan and --out");
const out = options.out;
const loader = options.loader ?? "scripts/train/host-anomaly/load-machine.py";
const plan = options.plan.split(",").map((step) => {
  const [phase = "idle", seconds = "60"] = step.split(":");
  return { phase, seconds: Number(seconds) };
});

let phase = plan[0]?.phase ?? "idle";
let phaseStartedMs = Date.now();
writeFileSync(out, `time,phase,second,${vitalNames.join(",")}\n`);

const meter = loopDelayMeter();
const source = new VitalsSource(
  {
    clock: systemClock(),
    loopDelayMs: meter.read,
    emit: (values, _names, timeMs) => {
      const second = Math.round((timeMs - phaseStartedMs) / 1000);
      const cells = values.map((value) => (Number.isNaN(value) ? "" : String(Math.round(value * 1000) / 1000)));
      appendFileSync(out, `${new Date(timeMs).toISOString()},${phase},${second},${cells.join(",")}\n`);
    },
  },
  { everySeconds: 1, dataDirectory: process.cwd() },
);

await source.start(new AbortController().signal);
for (const step of plan) {
  phase = step.phase;
  phaseStartedMs = Date.now();
  console.log(new Date().toISOString(), phase, step.seconds);
  const load = QUIET_PHASES.has(phase) ? undefined : spawnLoad(phase, step.seconds);
  await new Promise((resolve) => setTimeout(resolve, step.seconds * 1000));
  // its own deadline ends it; what is left of it falls into the phase that follows, which should be `settling`
  load?.kill("SIGTERM");
}
await source.stop();
meter.stop();

function spawnLoad(name: string, seconds: number): ChildProcess {
  return spawn("python3", [loader, name, String(seconds)], { stdio: ["ignore", "inherit", "inherit"] });
}
