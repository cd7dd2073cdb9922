import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { WAL_KEEP_BYTES } from "../../../daemon/store/open-records.ts";
import { Cable, NEAR } from "../cable/network.ts";
import { becomes, Claims, sleep } from "../claims.ts";
import { type Mosquitto, startMosquitto, temporaryFolder } from "../daemon.ts";
import { fixtureModel } from "../fixtures.ts";
import { Readings } from "../pumps.ts";
import { paced, Sensor } from "../sensor.ts";

import { CACHE, debianRoot, Machine, missingPrograms, newestPackage } from "../service/machine.ts";
import { install, ready, UNIT, writeFile } from "../service/steps.ts";
import { SmallDisk } from "../small-disk.ts";
import type { TrialOptions, TrialResult } from "../trial.ts";
import { type Setup, setups } from "./configurations.ts";
import { figuresOf, type Line, lineText } from "./figures.ts";
import { Meter } from "./meter.ts";

const SECONDS = 60;
const SETTLE_SECONDS = 6;
const DISK_MB = 1500;
const FILE = "/etc/holdfast/holdfast.yaml";
const DATA = "/var/lib/holdfast";
const MODEL = "/usr/share/holdfast-trial/linear";
const CARD = "config/examples/flash-card/holdfast.yaml";
/** P11: what the daemon with one host may take at 100 events a second. */
const MOST_PSS_MB = 180;
/** Decisions that a look sees just not yet, or already. */
const AT_THE_EDGES = 2;
const IN_FLIGHT = 1000;
const WARM_RATE = 1000;
const WARM_MS = 40_000;
const CHECKPOINT_MS = 12_000;
/** Numbers of readings that nobody else uses; of pumps that say nothing later, whose windows are written down once more. */
const WARM_FIRST = 10_000_000;

type Options = Pick<TrialOptions, "rounds" | "keep" | "say">;

/** The whole trial, in a process that has a network of its own: broker and sensors here, the machine at the other end. */
export async function inside({ rounds = SECONDS, keep, say }: Options): Promise<TrialResult> {
  const claims = new Claims(say);
  const deb = newestPackage();
  const missing = missingPrograms();
  if (missing.length > 0) return { figures: {}, failures: [`Debian's packages with ${missing.join(", ")} are needed`] };
  if (deb === undefined) return { figures: {}, failures: ["there is no package in dist/packages: npm run package"] };
  const folder = temporaryFolder("sizing");
  const disk = new SmallDisk(folder, DISK_MB);
  claims.holds(disk.kind === "ext4", "there are no loop devices here, so what reaches a disk can not be counted");
  const cable = await Cable.lay();
  const machine = Machine.fresh(debianRoot(resolve(CACHE)), join(folder, "root"), cable.holderPid);
  let broker: Mosquitto | undefined;
  try {
    mkdirSync(machine.path(DATA), { recursive: true });
    await machine.boot([`--bind=${disk.folder}:${DATA}`]);
    cpSync(deb, machine.path("/srv/holdfast.deb"));
    await install(machine, "/srv/holdfast.deb", claims);
    cpSync(fixtureModel("linear"), machine.path(MODEL), { recursive: true });
    broker = await startMosquitto(folder, IN_FLIGHT, undefined, NEAR);
    const bus = { kind: "external", url: `mqtt://${NEAR}:${broker.port}` };
    const meter = new Meter(machine, disk.folder);
    for (const setup of setups(bus, MODEL, cardFile())) await measured(setup, meter, broker.port, rounds, claims);
    await machine.powerOff();
  } finally {
    await machine.end();
    await broker?.stop();
    cable.end();
    disk.remove();
    if (keep) say(`kept: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
}

function cardFile(): string {
  return fileURLToPath(
    new URL(`${import.meta.url.includes("/dist/") ? "../../../../" : "../../../"}${CARD}`, import.meta.url),
  );
}

/** One configuration with an empty log, at each of its rates. */
async function measured(setup: Setup, meter: Meter, port: number, seconds: number, claims: Claims): Promise<void> {
  const { machine } = meter;
  machine.run("systemctl", "stop", UNIT);
  machine.run("sh", "-c", `rm -rf ${DATA}/*`);
  if (setup.config !== undefined) await writeFile(machine, FILE, JSON.stringify(setup.config));
  machine.run("systemctl", "start", UNIT);
  if (!(await ready(machine, claims, `with ${setup.title}`))) return;
  if (setup.config !== undefined)
    claims.holds(await becomes(() => meter.hosts() > 0, 30_000), `${setup.title}: there is no inference host`);
  const sensor = await new Sensor(port, "pumps").open();
  const readings = new Readings(sensor);
  await grown(setup, meter, sensor, claims);
  for (const rate of setup.rates) {
    readings.isOver = false;
    const sending = rate === 0 ? undefined : paced(rate, () => readings.isOver, readings.send);
    await sleep(SETTLE_SECONDS * 1000);
    const before = meter.look();
    await sleep(seconds * 1000);
    const line = figuresOf(before, meter.look());
    readings.isOver = true;
    await sending;
    claims.holds(await sensor.settled(60_000), `${setup.title}: not all was acknowledged at ${rate} a second`);
    claims.figure(`${setup.title}, ${rate}/s`, lineText(line));
    judge(setup.title, rate, line, claims);
  }
  sensor.close();
}

/**
 * Until the write-ahead log has its size the file system writes down with each commit that the file grew: twice as much as
 * later on, for some minutes after a start.
 */
async function grown(setup: Setup, meter: Meter, sensor: Sensor, claims: Claims): Promise<void> {
  if (setup.config === undefined) return;
  const readings = new Readings(sensor, WARM_FIRST, "warm");
  const sending = paced(WARM_RATE, () => readings.isOver, readings.send);
  const isGrown = await becomes(() => meter.walBytes() >= WAL_KEEP_BYTES * 0.85, WARM_MS);
  readings.isOver = true;
  await sending;
  if (!isGrown) claims.say(`${setup.title}: the write-ahead log still grows, ${meter.walBytes()} bytes`);
  claims.holds(await sensor.settled(60_000), `${setup.title}: not all was acknowledged`);
  await sleep(CHECKPOINT_MS);
}

function judge(title: string, rate: number, line: Line, claims: Claims): void {
  if (rate === 100)
    claims.holds(line.pssMb <= MOST_PSS_MB, `${title}: ${line.pssMb} MB at 100 a second, ${MOST_PSS_MB} is the most`);
  if (rate > 0)
    claims.holds(
      line.decisionsPerSecond * line.seconds >= rate * line.seconds * 0.9 - AT_THE_EDGES,
      `${title}: ${line.decisionsPerSecond} decisions a second of ${rate}`,
    );
}
