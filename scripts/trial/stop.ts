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
const DISK_MB = 64;
const SLOW_BROKER_MS = 500;
/** Longer than the daemon waits for the answers to what it has sent. */
const DEAD_BROKER_MS = 4000;
const AFTER_START_MS = 1500;
const WAIT_MS = 30_000;

/** What a case does in each of its rounds. */
type Work = (site: StopSite, rounds: StopRounds, disk: SmallDisk | undefined) => Promise<void>;

interface Case {
  readonly name: string;
  /** One in so many of the rounds of the first case: some take long. */
  readonly oneIn: number;
  readonly work: Work;
  /** Whether what leaves after the return is out of reach: told, and not held against it. */
  readonly isOutOfReach?: boolean;
}

/**
 * `holdfast stop` while 1,000 passes and 200 actions a second go through a broker: what reaches the plant after it, with
 * the daemon well, hanging, down or without a socket, with a full disk, and with a broker that hangs.
 */
export const trial: Trial = async (options) => await stopTrial(options, [...usual(), ...(isRoot ? [FULL] : [])]);

const isRoot = process.getuid?.() === 0;

/** Some of the cases, on one gateway; a full disk is one of its own, and for root. */
export async function stopTrial(options: TrialOptions, cases: readonly Case[]): Promise<TrialResult> {
  const claims = new Claims(options.say);
  const usualCases = cases.filter((one) => one !== FULL);
  if (usualCases.length > 0) await onSite(usualCases, options, claims);
  if (usualCases.length < cases.length) await onSite([FULL], options, claims);
  return claims.result();
}

async function onSite(cases: readonly Case[], options: TrialOptions, claims: Claims): Promise<void> {
  const folder = temporaryFolder("stop");
  const isFull = cases.includes(FULL);
  const disk = isFull ? new SmallDisk(folder, DISK_MB) : undefined;
  const data = join(disk?.folder ?? folder, "data");
  mkdirSync(data);
  const site = await StopSite.open(folder, data);
  const name = isFull ? "small disk" : "gateway";
  try {
    await load(name, site, claims);
    for (const one of cases) await playCase(one, site, disk, options, claims);
    claims.holds((await site.daemon.stop()) === 0, `${name}: the daemon did not stop in order`);
    everyEffectHasItsIntent(name, site, claims);
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

const FULL: Case = { name: "disk full", oneIn: 4, work: onFullDisk };

/** All but the full disk. */
export function usual(): readonly Case[] {
  return [
    { name: "asked", oneIn: 1, work: asked },
    { name: "socket gone", oneIn: 4, work: withoutSocket },
    { name: "daemon hangs", oneIn: 10, work: hanging },
    { name: "daemon hangs, --no-kill", oneIn: 10, work: leftAlive, isOutOfReach: true },
    { name: "daemon down", oneIn: 10, work: down },
    { name: "broker hangs for 0.5 s", oneIn: 10, work: withSlowBroker },
    { name: "broker hangs for 4 s", oneIn: 10, work: withDeadBroker, isOutOfReach: true },
  ];
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
