import { cpSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { Cable, NEAR } from "../cable/network.ts";
import { becomes, Claims, sleep } from "../claims.ts";
import { type Mosquitto, startMosquitto, temporaryFolder } from "../daemon.ts";
import { fixtureModel } from "../fixtures.ts";
import { checkLog } from "../kill-check.ts";
import { pumpConfig, Readings } from "../pumps.ts";
import { createRandom } from "../random.ts";
import { paced, Sensor } from "../sensor.ts";
import { CACHE, debianRoot, Machine, missingPrograms, newestPackage, PACKAGES } from "../service/machine.ts";
import { install, ready, status, UNIT, writeFile } from "../service/steps.ts";
import type { TrialOptions, TrialResult } from "../trial.ts";
import { decisionTimes, ratesAround } from "./rates.ts";
import { DATA, STEADY_MS, Upgrades } from "./steps.ts";
import { packageOf, type VersionName, versions } from "./versions.ts";

const MODEL = "/usr/share/holdfast-trial/linear";
const FILE = "/etc/holdfast/holdfast.yaml";
const PER_SECOND = 200;
const CUTS = 6;
const SEED = 61_106;
/** Shorter than dpkg takes to stop the service, longer than it takes for all. */
const CUT_WITHIN_MS = 12_000;
const DRAIN_MS = 300_000;
const TODAY = "today";

type Options = Pick<TrialOptions, "rounds" | "seed" | "keep" | "say">;

/** The whole trial, in a process that has a network of its own: broker and sensors here, the machine at the other end. */
export async function inside(options: Options): Promise<TrialResult> {
  const claims = new Claims(options.say);
  const deb = newestPackage();
  const missing = missingPrograms();
  if (missing.length > 0) return { figures: {}, failures: [`Debian's packages with ${missing.join(", ")} are needed`] };
  if (deb === undefined) return { figures: {}, failures: [`there is no package in ${PACKAGES}: npm run package`] };
  const folder = temporaryFolder("upgrade");
  const cable = await Cable.lay();
  const machine = Machine.fresh(debianRoot(resolve(CACHE)), join(folder, "root"), cable.holderPid);
  let broker: Mosquitto | undefined;
  try {
    options.say("other versions' packages");
    cpSync(deb, machine.path(`/srv/${TODAY}.deb`));
    for (const name of Object.keys(versions) as VersionName[])
      cpSync(packageOf(name, deb, folder), machine.path(fileOf(name)));
    await machine.boot();
    await install(machine, `/srv/${TODAY}.deb`, claims);
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

const fileOf = (name: VersionName): string => `/srv/${versions[name].version}.deb`;

async function withSensors(machine: Machine, broker: Mosquitto, options: Options, claims: Claims): Promise<void> {
  cpSync(fixtureModel("linear"), machine.path(MODEL), { recursive: true });
  const bus = { kind: "external", url: `mqtt://${NEAR}:${broker.port}` };
  const upgrades = new Upgrades(machine, claims);
  machine.run("systemctl", "stop", UNIT);
  machine.run("sh", "-c", `rm -rf ${DATA}/*`);
  await writeFile(machine, FILE, JSON.stringify({ ...pumpConfig(bus, MODEL), store: { directory: DATA } }));
  upgrades.hurry();
  machine.run("systemctl", "start", UNIT);
  if (!(await ready(machine, claims, "with sensors"))) return;
  const sensor = await new Sensor(broker.port, "pumps").open();
  const readings = new Readings(sensor);
  const sending = paced(PER_SECOND, () => readings.isOver, readings.send);
  try {
    await all(machine, upgrades, options, claims);
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
  const data = machine.path(DATA);
  checkLog({ bus: "upgrade", data, acknowledged, sent, killed: upgrades.ends, mayGoBack: true, claims });
  const times = decisionTimes(data, "each");
  for (const span of upgrades.spans)
    claims.figure(`${span.what}: decisions a second before, during, after; longest pause`, ratesAround(times, span));
  await machine.powerOff();
}

async function all(machine: Machine, upgrades: Upgrades, options: Options, claims: Claims): Promise<void> {
  const today = upgrades.version();
  const { same, next } = versions;
  await upgrades.over(fileOf("same"), same.version, "upgrade, the same form of the databases");
  await upgrades.settles();
  await upgrades.over(fileOf("next"), next.version, "upgrade, another form of the databases");
  claims.figure("copies of the databases", machine.run("sh", "-c", `cd ${DATA}/upgrade && du -sh *`).trim());
  await upgrades.over(`/srv/${TODAY}.deb`, today, "downgrade");
  claims.figure("what the log says of it", wentBack(machine));
  await upgrades.settles();
  for (const name of Object.keys(versions) as VersionName[])
    if (name !== "same" && name !== "next") await upgrades.comesBack(fileOf(name), name, today);
  await upgrades.over(`/srv/${TODAY}.deb`, today, "today's version again");
  await cuts(upgrades, today, options, claims);
  await upgrades.over(`/srv/${TODAY}.deb`, today, "today's version at the end");
  await sleep(STEADY_MS);
}

async function cuts(upgrades: Upgrades, today: string, options: Options, claims: Claims): Promise<void> {
  const { rounds = CUTS, seed = SEED, say } = options;
  const random = createRandom(seed);
  const ran = { before: 0, new: 0 };
  let isUp = false;
  for (let cut = 1; cut <= rounds; cut++) {
    const [from, to] = isUp ? [versions.next.version, today] : [today, versions.next.version];
    const file = isUp ? `/srv/${TODAY}.deb` : fileOf("next");
    const runs = await upgrades.cutWhile(file, from, to, random() * CUT_WITHIN_MS);
    ran[runs as keyof typeof ran] += 1;
    isUp = !isUp;
    await sleep(2000);
    say(`${cut} power cuts while dpkg was at work`);
  }
  claims.figure(
    "power cuts while dpkg was at work: the version before ran after it, the new one",
    `${ran.before}, ${ran.new}`,
  );
}

function wentBack(machine: Machine): string {
  const text = machine.try("journalctl", "-u", UNIT, "-o", "cat", "--no-pager", "--grep", "took its place").text;
  const said = text.split("\n").flatMap((line) => /[\w.]+ had been changed by a newer version[^"]*/.exec(line) ?? []);
  return said.slice(-2).join("\n");
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
