import { cpSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { Cable, NEAR } from "../cable/network.ts";
import { becomes, Claims, sleep, spread } from "../claims.ts";
import { type Mosquitto, startMosquitto, temporaryFolder } from "../daemon.ts";
import { countersIn, fixtureModel } from "../fixtures.ts";
import { checkLog } from "../kill-check.ts";
import { pumpConfig, Readings } from "../pumps.ts";
import { createRandom } from "../random.ts";
import { paced, Sensor } from "../sensor.ts";
import type { TrialOptions, TrialResult } from "../trial.ts";
import { fullDisk } from "./full-disk.ts";
import { CACHE, debianRoot, Machine, missingPrograms, newestPackage, PACKAGES } from "./machine.ts";
import { install, killed, ready, seconds, status, stopAndStart, typo, UNIT, watchdog, writeFile } from "./steps.ts";

const CUTS = 10;
const SEED = 61_006;
const KILLS = 3;
const PER_SECOND = 200;
const SHORTEST_MS = 200;
const LONGEST_MS = 6000;
const DRAIN_MS = 300_000;
const FILE = "/etc/holdfast/holdfast.yaml";
const MODEL = "/usr/share/holdfast-trial/linear";
const DATA = "/var/lib/holdfast";

type Options = Pick<TrialOptions, "rounds" | "seed" | "keep" | "say">;

/** The whole trial, in a process that has a network of its own: broker and sensors here, the machine at the other end. */
export async function inside(options: Options): Promise<TrialResult> {
  const claims = new Claims(options.say);
  const deb = newestPackage();
  const missing = missingPrograms();
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
    await withSensors(machine, broker, options, claims);
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
async function withSensors(machine: Machine, broker: Mosquitto, options: Options, claims: Claims): Promise<void> {
  cpSync(fixtureModel("linear"), machine.path(MODEL), { recursive: true });
  const bus = { kind: "external", url: `mqtt://${NEAR}:${broker.port}` };
  const config = { ...pumpConfig(bus, MODEL), store: { directory: DATA } };
  // The log of the fresh gateway is another story; this one begins with the sensors.
  machine.run("systemctl", "stop", UNIT);
  machine.run("sh", "-c", `rm -rf ${DATA}/*`);
  await writeFile(machine, FILE, JSON.stringify(config));
  machine.run("systemctl", "start", UNIT);
  if (!(await ready(machine, claims, "with sensors"))) return;
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
  await machine.powerOff();
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

async function drained(machine: Machine, claims: Claims): Promise<void> {
  let before = -1;
  const isQuiet = await becomes(async () => {
    const now = status(machine)?.passes.decided ?? -1;
    const same = now === before && now >= 0;
    before = now;
    await sleep(1500);
    return same;
  }, DRAIN_MS);
  claims.holds(isQuiet, "it did not come to rest");
}
