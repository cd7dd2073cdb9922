import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { intentsIn } from "./acted.ts";
import { becomes, Claims, sleep } from "./claims.ts";
import { temporaryFolder } from "./daemon.ts";
import { createRandom } from "./random.ts";
import { SmallDisk } from "./small-disk.ts";
import { StopRounds } from "./stop-rounds.ts";
import { StopSite } from "./stop-site.ts";
import type { Trial, TrialOptions, TrialResult } from "./trial.ts";

const SEED = 4711;
const ROUNDS = 120;
/** Room for all that is written meanwhile: what fills the disk is somebody else's data. */
const DISK_MB = 192;
const SLOW_BROKER_MS = 500;
/** Longer than the daemon waits for the answers to what it has sent. */
const DEAD_BROKER_MS = 4000;
/** Each way between daemon and broker: a little more than lets all commands through, so that some always wait. */
const SLOW_MS = 60;
const AFTER_START_MS = 1500;
const WAIT_MS = 30_000;

/** What a case does in each of its rounds. */
type Work = (site: StopSite, rounds: StopRounds, disk: SmallDisk | undefined) => Promise<void>;

/** Where a case is played; a small disk is for root. */
type Place = "gateway" | "slow network" | "small disk";

interface Case {
  readonly name: string;
  readonly place: Place;
  /** One in so many of the rounds of the first case: some take long. */
  readonly oneIn: number;
  readonly work: Work;
  /** Whether what leaves after the return is out of reach: told, and not held against it. */
  readonly isOutOfReach?: boolean;
}

/**
 * `holdfast stop` while 1,000 passes and 200 actions a second go through a broker: what reaches the plant after it, with
 * the daemon well, hanging, down or without a socket, with a full disk, a slow network, and a broker that hangs.
 */
export const trial: Trial = async (options) => await stopTrial(options, () => true);

/** The cases that are wanted, those of one place after the other. */
export async function stopTrial(options: TrialOptions, isWanted: (name: string) => boolean): Promise<TrialResult> {
  const claims = new Claims(options.say);
  const wanted = cases().filter(({ name }) => isWanted(name));
  for (const place of ["gateway", "slow network", "small disk"] as const) {
    const here = wanted.filter((one) => one.place === place);
    if (here.length > 0) await playAt(place, here, options, claims);
  }
  return claims.result();
}

async function playAt(place: Place, here: readonly Case[], options: TrialOptions, claims: Claims): Promise<void> {
  const folder = temporaryFolder("stop");
  const disk = place === "small disk" ? new SmallDisk(folder, DISK_MB) : undefined;
  const data = join(disk?.folder ?? folder, "data");
  mkdirSync(data);
  const site = await StopSite.open(folder, data, place === "slow network" ? SLOW_MS : undefined);
  try {
    await load(place, site, claims);
    for (const one of here) await playCase(one, site, disk, options, claims);
    claims.holds((await site.daemon.stop()) === 0, `${place}: the daemon did not stop in order`);
    everyEffectHasItsIntent(place, site, claims);
  } catch (error) {
    claims.holds(false, `${place}: ${String(error)}; ${site.lastWords()}`);
  } finally {
    await site.close();
    disk?.remove();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}

async function playCase(
  { name, oneIn, work, isOutOfReach = false }: Case,
  site: StopSite,
  disk: SmallDisk | undefined,
  { rounds: wanted = ROUNDS, say }: TrialOptions,
  claims: Claims,
): Promise<void> {
  const count = Math.max(1, Math.ceil(wanted / oneIn));
  const rounds = new StopRounds({ name, isOutOfReach }, site, claims, createRandom(SEED));
  for (let round = 1; round <= count; round++) {
    await work(site, rounds, disk);
    if (round % 10 === 0) say(`${name}: round ${round} of ${count}`);
  }
  rounds.report();
}

const asked: Work = async (_site, rounds) => {
  await rounds.moment();
  const mark = await rounds.stop("daemon");
  await rounds.stays(mark, true);
  await rounds.release();
};

const withoutSocket: Work = async (site, rounds) => {
  const [socket, away] = [join(site.data, "control.sock"), join(site.data, "away.sock")];
  await rounds.moment();
  renameSync(socket, away);
  const mark = await rounds.stop("acknowledged");
  renameSync(away, socket);
  await rounds.stays(mark, true);
  await rounds.release();
};

/** Half of the times the disk is just filling up while effects leave, else it is full for good. */
const onFullDisk: Work = async (site, rounds, disk) => {
  const isFull = async (): Promise<boolean> => (await site.daemon.status()).store.state === "full";
  await rounds.moment();
  disk?.fillTo(0);
  if (rounds.random() < 0.5) await becomes(isFull, WAIT_MS);
  const mark = await rounds.stop("daemon");
  rounds.holds(await becomes(isFull, WAIT_MS), "the disk was not full");
  await rounds.stays(mark, false);
  disk?.free();
  await becomes(async () => !(await isFull()), WAIT_MS);
  await rounds.stays(mark, true);
  await rounds.release();
};

const hanging: Work = async (site, rounds) => {
  await rounds.moment();
  site.daemon.child.kill("SIGSTOP");
  const mark = await rounds.stop("killed");
  await rounds.stays(mark, false);
  await site.start();
  await rounds.stays(mark, true, AFTER_START_MS);
  await rounds.release();
};

/** It wakes up with the file in its way: what may leave is what had passed its gate before. */
const leftAlive: Work = async (site, rounds) => {
  await rounds.moment();
  site.daemon.child.kill("SIGSTOP");
  const mark = await rounds.stop("unsure", ["--no-kill"]);
  site.daemon.child.kill("SIGCONT");
  await rounds.stays(mark, true, AFTER_START_MS);
  await rounds.release();
};

const down: Work = async (site, rounds) => {
  await rounds.moment();
  await site.daemon.kill();
  const mark = await rounds.stop("down");
  await site.start();
  await rounds.stays(mark, true, AFTER_START_MS);
  await rounds.release();
};

const withSlowBroker: Work = async (site, rounds) => await withHangingBroker(site, rounds, SLOW_BROKER_MS);
const withDeadBroker: Work = async (site, rounds) => await withHangingBroker(site, rounds, DEAD_BROKER_MS);

async function withHangingBroker(site: StopSite, rounds: StopRounds, hangsMs: number): Promise<void> {
  await rounds.moment();
  site.broker.child.kill("SIGSTOP");
  setTimeout(() => site.broker.child.kill("SIGCONT"), hangsMs);
  const mark = await rounds.stop("daemon");
  await rounds.stays(mark, true);
  await rounds.release();
}

function cases(): readonly Case[] {
  const isRoot = process.getuid?.() === 0;
  const all: readonly Case[] = [
    { name: "asked", place: "gateway", oneIn: 1, work: asked },
    { name: "socket gone", place: "gateway", oneIn: 4, work: withoutSocket },
    { name: "daemon hangs", place: "gateway", oneIn: 10, work: hanging },
    { name: "daemon hangs, --no-kill", place: "gateway", oneIn: 10, work: leftAlive, isOutOfReach: true },
    { name: "daemon down", place: "gateway", oneIn: 10, work: down },
    { name: "slow network, asked", place: "slow network", oneIn: 4, work: asked },
    { name: "slow network, socket gone", place: "slow network", oneIn: 4, work: withoutSocket },
    // There some commands are always on their way.
    { name: "broker hangs for 0.5 s", place: "slow network", oneIn: 10, work: withSlowBroker },
    { name: "broker hangs for 4 s", place: "slow network", oneIn: 20, work: withDeadBroker, isOutOfReach: true },
    { name: "disk full", place: "small disk", oneIn: 4, work: onFullDisk },
  ];
  return all.filter(({ place }) => isRoot || place !== "small disk");
}

async function load(name: string, site: StopSite, claims: Claims): Promise<void> {
  await site.flows();
  const [before, effects] = [await site.daemon.status(), site.observer.count];
  const startedMs = performance.now();
  await sleep(2000);
  const after = await site.daemon.status();
  const perSecond = (n: number): number => Math.round((n * 1000) / (performance.now() - startedMs));
  const passes = perSecond(after.passes.decided - before.passes.decided);
  claims.figure(`${name}: passes, effects a second`, `${passes}, ${perSecond(site.observer.count - effects)}`);
}

function everyEffectHasItsIntent(name: string, { data, observer }: StopSite, claims: Claims): void {
  const intents = intentsIn(data);
  const effects = observer.effects.map(({ payload }) => String((JSON.parse(payload) as { _id: string })._id));
  const unknown = effects.filter((key) => !intents.has(key)).length;
  const twice = effects.length - new Set(effects).size;
  claims.figure(`${name}: effects, without an intent in the log, twice`, `${effects.length}, ${unknown}, ${twice}`);
  claims.holds(unknown === 0, `${name}: ${unknown} effects have no intent in the log`);
  claims.holds(twice === 0, `${name}: ${twice} effects came twice`);
}
