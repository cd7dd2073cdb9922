import { cpSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { Cable, NEAR } from "../cable/network.ts";
import { Claims, sleep, spread } from "../claims.ts";
import { type Mosquitto, startMosquitto, temporaryFolder } from "../daemon.ts";
import { countersIn, fixtureModel } from "../fixtures.ts";
import { checkLog } from "../kill-check.ts";
import { Readings } from "../pumps.ts";
import { createRandom } from "../random.ts";
import { paced, Sensor } from "../sensor.ts";
import type { TrialOptions, TrialResult } from "../trial.ts";
import { clock } from "./clock.ts";
import { password } from "./credentials.ts";
import { dropIns } from "./drop-ins.ts";
import { fullDisk } from "./full-disk.ts";
import { hardened } from "./hardened.ts";
import { CACHE, debianRoot, Machine, missingPrograms, newestPackage, PACKAGES } from "./machine.ts";
import { readOnly } from "./read-only.ts";
import { DATA, DRAIN_MS, drained, FILE, fresh, pumps, type Site } from "./site.ts";
import { install, killed, ready, seconds, stopAndStart, typo, UNIT, watchdog } from "./steps.ts";

const CUTS = 10;
const SEED = 61_006;
const KILLS = 3;
const PER_SECOND = 200;
const SHORTEST_MS = 200;
const LONGEST_MS = 6000;
const MODEL = "/usr/share/holdfast-trial/linear";

/** What can be tried by itself, in this order; `cuts` is the long story with its power cuts, and the full disk after it. */
const STEPS: Readonly<Record<string, (site: Site, claims: Claims) => Promise<void>>> = {
  hardened,
  password,
  "drop-ins": dropIns,
  "read-only": readOnly,
  clock,
};

type Options = Pick<TrialOptions, "rounds" | "seed" | "faults" | "keep" | "say">;

/** The whole trial, in a process that has a network of its own: broker and sensors here, the machine at the other end. */
export async function inside(options: Options): Promise<TrialResult> {
  const claims = new Claims(options.say);
  const deb = newestPackage();
  const missing = missingPrograms();
  const unknown = (options.faults ?? []).filter((name) => name !== "cuts" && STEPS[name] === undefined);
  if (unknown.length > 0)
    return { figures: {}, failures: [`there is no ${unknown.join(", ")}: cuts, ${Object.keys(STEPS).join(", ")}`] };
  if (missing.length > 0) return { figures: {}, failures: [`Debian's packages with ${missing.join(", ")} are needed`] };
  if (deb === undefined) return { figures: {}, failures: [`there is no package in ${PACKAGES}: npm run package`] };
  const folder = temporaryFolder("service");
  const cable = await Cable.lay();
  const machine = Machine.fresh(debianRoot(resolve(CACHE)), join(folder, "root"), cable.holderPid);
  let broker: Mosquitto | undefined;
  try {
    await machine.boot();
    cpSync(deb, machine.path("/srv/holdfast.deb"));
    await install(machine, "/srv/holdfast.deb", claims);
    broker = await startMosquitto(folder, 20, undefined, NEAR);
    const site: Site = { machine, folder, broker, model: MODEL };
    cpSync(fixtureModel("linear"), machine.path(MODEL), { recursive: true });
    const wanted = options.faults ?? ["cuts", ...Object.keys(STEPS)];
    if (wanted.includes("cuts")) await withSensors(site, options, claims);
    for (const [name, step] of Object.entries(STEPS)) {
      if (!wanted.includes(name)) continue;
      options.say(`step ${name}`);
      if (await fresh(site, claims, pumps(site))) await step(site, claims);
    }
    await machine.powerOff();
  } finally {
    await machine.end();
    await broker?.stop();
    cable.end();
    if (options.keep) options.say(`kept: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
}

/** All that is done to the machine while pumps are measured: nothing that was acknowledged may be missing at the end. */
async function withSensors(site: Site, options: Options, claims: Claims): Promise<void> {
  const { machine, broker } = site;
  if (!(await fresh(site, claims, pumps(site)))) return;
  const sensor = await new Sensor(broker.port, "pumps").open();
  const readings = new Readings(sensor);
  const sending = paced(PER_SECOND, () => readings.isOver, readings.send);
  let kills = 0;
  try {
    await stopAndStart(machine, claims);
    await killed(machine, claims, KILLS);
    await watchdog(machine, claims);
    kills = KILLS + 2 + (await powerCuts(machine, options, claims));
    await typo(machine, claims, FILE);
    kills += 2;
  } finally {
    readings.isOver = true;
    await sending;
  }
  claims.holds(await sensor.settled(DRAIN_MS), `${sensor.unacknowledged} messages were not acknowledged at the end`);
  sensor.close();
  await drained(machine, claims);
  machine.run("systemctl", "stop", UNIT);
  claims.figure("messages sent, acknowledged by the broker", `${readings.sent}, ${readings.acknowledged.size}`);
  const { acknowledged, sent } = readings;
  checkLog({ bus: "service", data: machine.path(DATA), acknowledged, sent, killed: kills, claims });
  await onFullDisk(machine, broker, acknowledged.size, claims);
}

/** After the log was looked at: for want of room it lets the oldest decisions go, and says so. Each is still made, once. */
async function onFullDisk(machine: Machine, broker: Mosquitto, before: number, claims: Claims): Promise<void> {
  machine.run("systemctl", "start", UNIT);
  if (!(await ready(machine, claims, "before its disk is full"))) return;
  const sensor = await new Sensor(broker.port, "pumps").open();
  const readings = new Readings(sensor, before);
  const sending = paced(PER_SECOND, () => readings.isOver, readings.send);
  try {
    await fullDisk(machine, claims);
  } finally {
    readings.isOver = true;
    await sending;
  }
  claims.holds(await sensor.settled(DRAIN_MS), `${sensor.unacknowledged} messages were not acknowledged at the end`);
  sensor.close();
  await drained(machine, claims);
  machine.run("systemctl", "stop", UNIT);
  const all = before + readings.acknowledged.size;
  for (const agent of ["each", "window"]) {
    const { accepted, decided } = countersIn(machine.path(DATA))[agent] ?? {};
    const figures = `${readings.acknowledged.size} of ${all}; ${accepted}, ${decided}`;
    claims.figure(`with a full disk in between, ${agent}: acknowledged then, in all; accepted, decided`, figures);
    claims.holds(accepted === all && decided === all, `${agent}: of ${all} acknowledged ${decided} were decided`);
  }
}

/** The power goes at random moments, in the middle of a boot too. */
async function powerCuts(
  machine: Machine,
  { rounds = CUTS, seed = SEED, say }: Options,
  claims: Claims,
): Promise<number> {
  const random = createRandom(seed);
  const bootSeconds: number[] = [];
  let early = 0;
  for (let cut = 1; cut <= rounds; cut++) {
    const isEarly = random() < 0.3;
    await sleep(SHORTEST_MS + random() * LONGEST_MS);
    await machine.cutPower();
    const began = performance.now();
    if (isEarly) {
      early += 1;
      // Again before it is up: nobody waits until a gateway has booted.
      await machine.boot(["--setenv=HOLDFAST_TRIAL=early"]);
      await sleep(random() * 1500);
      await machine.cutPower();
    }
    await machine.boot();
    if (!(await ready(machine, claims, `after power cut ${cut}`))) break;
    bootSeconds.push(seconds(began));
    if (cut % 10 === 0) say(`${cut} power cuts`);
  }
  claims.figure("power cuts; of these a second one soon after the boot", `${rounds}; ${early}`);
  claims.figure("from the power's return to ready, in s", spread(bootSeconds));
  return rounds + early;
}
