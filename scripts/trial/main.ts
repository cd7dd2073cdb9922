import { parseArgs } from "node:util";
import type { Trial } from "./trial.ts";

/** Every trial by name; `npm run trial` without a name lists them. */
const trials: Readonly<Record<string, () => Promise<{ trial: Trial; again?: () => Promise<number | undefined> }>>> = {
  feed: () => import("./feed.ts"),
  kill: () => import("./kill.ts"),
  models: () => import("./models.ts"),
  hostile: () => import("./hostile.ts"),
  keys: () => import("./keys.ts"),
  disk: () => import("./disk.ts"),
  damage: () => import("./damage.ts"),
  stop: () => import("./stop.ts"),
  replay: () => import("./replay.ts"),
  act: () => import("./act.ts"),
  "act-mutants": () => import("./act-mutants.ts"),
  tamper: () => import("./tamper.ts"),
  herd: () => import("./herd.ts"),
  drain: () => import("./drain.ts"),
  "fleet-mutants": () => import("./fleet-mutants.ts"),
  fleet: () => import("./fleet.ts"),
  "hostile-gateway": () => import("./hostile-gateway.ts"),
  service: () => import("./service.ts"),
  upgrade: () => import("./upgrade.ts"),
  arm64: () => import("./arm64.ts"),
  doctor: () => import("./doctor.ts"),
  cable: () => import("./cable.ts"),
  "hostile-fleet": () => import("./hostile-fleet.ts"),
  torn: () => import("./torn.ts"),
  sizing: () => import("./sizing.ts"),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string" },
    minutes: { type: "string" },
    json: { type: "boolean", default: false },
    bus: { type: "string" },
    seed: { type: "string" },
    faults: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const [name] = positionals;
const load = name === undefined ? undefined : trials[name];
if (load === undefined) {
  console.error(
    `usage: npm run trial -- NAME [--rounds N] [--minutes N] [--seed N] [--faults A,B] [--bus external|embedded] [--json] [--keep]\ntrials: ${Object.keys(trials).join(", ")}`,
  );
  process.exit(2);
}
const { trial, again } = await load();
const ended = await again?.();
if (ended !== undefined) process.exit(ended);
const result = await trial({
  rounds: values.rounds === undefined ? undefined : Number(values.rounds),
  minutes: values.minutes === undefined ? undefined : Number(values.minutes),
  seed: values.seed === undefined ? undefined : Number(values.seed),
  faults: values.faults?.split(","),
  bus: values.bus === "embedded" ? "embedded" : values.bus === "external" ? "external" : undefined,
  keep: values.keep,
  say: (line) => console.error(line),
});
if (values.json) console.log(JSON.stringify(result));
else
  for (const [title, figure] of Object.entries(result.figures))
    console.log(`${title.padEnd(48)} ${typeof figure === "string" ? figure : JSON.stringify(figure)}`);
for (const failure of result.failures) console.log(`FAILED ${failure}`);
console.log(result.failures.length === 0 ? `trial ${name}: held` : `trial ${name}: ${result.failures.length} failures`);
process.exit(result.failures.length === 0 ? 0 : 1);
