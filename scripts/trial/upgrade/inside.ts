import { cpSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { Cable, NEAR } from "../cable/network.ts";
import { Claims, sleep } from "../claims.ts";
import { type Mosquitto, startMosquitto, temporaryFolder } from "../daemon.ts";
import { fixtureModel } from "../fixtures.ts";
import { checkLog } from "../kill-check.ts";
import { createRandom } from "../random.ts";
import { CACHE, debianRoot, Machine, missingPrograms, newestPackage, PACKAGES } from "../service/machine.ts";
import { DATA, drained, fresh, pumps, type Site, withReadings } from "../service/site.ts";
import { install, UNIT } from "../service/steps.ts";
import type { TrialOptions, TrialResult } from "../trial.ts";
import { decisionTimes, ratesAround } from "./rates.ts";
import { STEADY_MS, Upgrades } from "./steps.ts";
import { packageOf, type VersionName, versions } from "./versions.ts";

const MODEL = "/usr/share/holdfast-trial/linear";
const CUTS = 6;
const SEED = 61_106;
/** Shorter than dpkg takes to stop the service, longer than it takes for all. */
const CUT_WITHIN_MS = 12_000;
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
    cpSync(fixtureModel("linear"), machine.path(MODEL), { recursive: true });
    await withSensors({ machine, folder, broker, model: MODEL }, options, claims);
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

async function withSensors(site: Site, options: Options, claims: Claims): Promise<void> {
  const { machine, broker } = site;
  const upgrades = new Upgrades(site, claims);
  if (!(await fresh(site, claims, pumps(site)))) return;
  upgrades.hurry();
  const acknowledged = await withReadings(broker, claims, () => all(machine, upgrades, options, claims));
  await drained(machine, claims);
  machine.run("systemctl", "stop", UNIT);
  claims.figure("messages sent and acknowledged by the broker", acknowledged.size);
  const [data, sent] = [machine.path(DATA), acknowledged.size];
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
