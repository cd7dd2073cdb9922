import { sleep } from "../claims.ts";
import type { Site } from "./site.ts";
import { release, removeLatchFile, stopByFile, stopByRemoval, stopBySocket } from "./stops.ts";
import type { LatchedSpan } from "./story.ts";

/** Points on the way of an action at which the daemon is made to die, and which visit at most is meant. */
const POINTS: Readonly<Record<string, number>> = {
  "act.judged": 60,
  "act.durable": 60,
  "act.leave": 200,
  "act.left": 200,
  "act.end": 200,
  "act.recovered": 1,
  "commit.before": 80,
  "commit.after": 80,
  "epoch.before": 1,
  "epoch.after": 1,
  "position.after": 1,
};
const LATCH_POINTS = [
  ...["latch.file.before", "latch.file.written", "latch.file.after", "latch.control.before", "latch.control.after"],
  ...["latch.release.before", "latch.release.control", "latch.release.file", "latch.release.after"],
];
const SWITCHED = ["set", "pulse", "count", "post", "put", "turn", "limited"];

const WORK_MS = 500;
const DIES_WITHIN_MS = 2500;

export type Fault = (site: Site) => Promise<void>;

function between(site: Site, leastMs: number, mostMs: number): number {
  return leastMs + site.random() * (mostMs - leastMs);
}

function oneOf<T>(site: Site, values: readonly T[]): T {
  return values[Math.floor(site.random() * values.length)] as T;
}

async function work(site: Site): Promise<void> {
  await site.ready();
  await sleep(between(site, WORK_MS / 2, 2 * WORK_MS));
}

/** A daemon that has just died is started again; often so that it dies at a point of the way. */
function again(site: Site): void {
  if (site.random() < 0.2) {
    site.launch();
    return;
  }
  const point = oneOf(site, Object.keys(POINTS));
  site.launch(`${point}:${1 + Math.floor(site.random() * (POINTS[point] ?? 1))}`);
}

/** kill -9: at the point for which it is armed, or at any moment, in the middle of a start too. */
const kill: Fault = async (site) => {
  if (site.isArmed) {
    const point = site.armed?.split(":")[0];
    const died = await site.diesWithin(DIES_WITHIN_MS);
    site.story.count(died ? `kill -9 at ${point}` : "kill -9 at any moment");
  } else {
    if (site.random() < 0.8) await site.ready();
    await sleep(between(site, 50, 1500));
    site.story.count("kill -9 at any moment");
  }
  await site.kill();
  if (site.random() < 0.1) await site.snapshot();
  again(site);
};

const killHosts: Fault = async (site) => {
  await work(site);
  if (site.killHosts()) site.story.count("kill -9 of the inference host");
};

/** A backup is put in the place of the databases: one of a moment ago, or an older one. */
const restore: Fault = async (site) => {
  await work(site);
  if (!site.hasSnapshot || site.random() < 0.5) {
    await site.kill();
    await site.snapshot();
    site.launch();
    await work(site);
    await sleep(between(site, 0, 1500));
  }
  const which = oneOf(site, ["records", "records", "control", "both"] as const);
  site.story.count(`older copy of ${which === "both" ? "both databases" : `${which}.db`}`);
  await site.restore(which);
};

const brokerDies: Fault = async (site) => {
  await work(site);
  site.story.count("kill -9 of the broker");
  await site.killBroker();
  // Longer than most actions may take: those that wait for it are not done any more.
  await sleep(between(site, 50, 4000));
  await site.startBroker();
};

const brokerHangs: Fault = async (site) => {
  await work(site);
  site.story.count("broker held");
  site.signalBroker("SIGSTOP");
  await sleep(between(site, 100, 2500));
  site.signalBroker("SIGCONT");
};

const daemonHangs: Fault = async (site) => {
  await work(site);
  site.story.count("daemon held");
  await site.held(between(site, 100, 2500));
};

const silence: Fault = async (site) => {
  site.story.count("all actuators silent");
  site.ledger.silence(true);
  await work(site);
  await sleep(between(site, 0, 1000));
  site.ledger.silence(false);
};

const fullDisk: Fault = async (site) => {
  if (!site.canFill) return;
  await work(site);
  site.story.count("full disk");
  site.fillDisk();
  await sleep(between(site, 300, 1800));
  if (site.random() < 0.3) {
    site.story.count("kill -9 on a full disk");
    await site.kill();
    site.launch();
    await sleep(between(site, 300, 1500));
  }
  site.freeDisk();
  await site.ready();
};

const clockJumps: Fault = async (site) => {
  if (site.time === undefined) return;
  site.story.count("wall clock a day off");
  site.time.jump(site.random() < 0.5 ? 1 : -1);
  await work(site);
  // The library looks at its file once a second.
  await sleep(1000);
};

async function whileLatched(site: Site, span: LatchedSpan): Promise<void> {
  await sleep(between(site, 100, 700));
  if (site.random() < 0.3) {
    site.story.count("kill -9 while latched");
    await site.kill();
    site.launch();
    await site.ready();
    await sleep(between(site, 100, 700));
  }
  await release(site, span);
}

const latch: Fault = async (site) => {
  if (site.random() < 0.4) {
    await site.kill();
    const point = oneOf(site, LATCH_POINTS);
    site.launch(point);
    site.story.count(`armed for ${point}`);
  }
  await work(site);
  site.story.count("stopped by the socket");
  await whileLatched(site, await stopBySocket(site));
};

/** Actions wait for the broker when the stop comes; they must not leave when the broker is back. */
const latchInOutage: Fault = async (site) => {
  await work(site);
  site.story.count("stopped while the broker was away");
  await site.killBroker();
  await sleep(between(site, 100, 500));
  const span = await stopBySocket(site, true);
  await site.startBroker();
  await sleep(500);
  await whileLatched(site, span);
};

const latchFile: Fault = async (site) => {
  await work(site);
  const how = oneOf(site, ["running", "held", "down"] as const);
  site.story.count(`stopped by the file, daemon ${how}`);
  if (how === "down") await site.kill();
  if (how === "held") site.signal("SIGSTOP");
  const stopped = await stopByFile(site);
  if (how === "held") await site.held(between(site, 200, 1200));
  if (how === "down") site.launch();
  await whileLatched(site, await stopped());
};

const latchRemoved: Fault = async (site) => {
  await work(site);
  if (site.random() < 0.5) {
    site.story.count("latch file removed");
    await whileLatched(site, await stopByRemoval(site));
    return;
  }
  site.story.count("latch file removed while latched");
  const span = await stopBySocket(site);
  removeLatchFile(site);
  await whileLatched(site, span);
};

const switchedOff: Fault = async (site) => {
  await work(site);
  const tool = oneOf(site, SWITCHED);
  site.story.count("tool switched off");
  while ((await site.ask("switch", { scope: `tool:${tool}`, on: false })) === undefined);
  const span = { tool, fromMs: site.nowMs(), untilMs: Number.POSITIVE_INFINITY };
  site.story.off.push(span);
  await sleep(between(site, 200, 900));
  if (site.random() < 0.3) {
    await site.kill();
    site.launch();
    await work(site);
  }
  span.untilMs = site.nowMs();
  while ((await site.ask("switch", { scope: `tool:${tool}`, on: true })) === undefined);
};

const modeChanged: Fault = async (site) => {
  await work(site);
  const mode = oneOf(site, ["observe", "dryRun", "approve"] as const);
  site.story.count(`mode ${mode}`);
  while ((await site.ask("mode", { scope: "gateway", mode })) === undefined);
  const span = { mode, fromMs: site.nowMs(), untilMs: Number.POSITIVE_INFINITY };
  site.story.idle.push(span);
  await sleep(between(site, 200, 900));
  span.untilMs = site.nowMs();
  while ((await site.ask("mode", { scope: "gateway", mode: "auto" })) === undefined);
};

export const faults: Readonly<Record<string, { readonly weight: number; readonly run: Fault }>> = {
  kill: { weight: 50, run: kill },
  killHosts: { weight: 4, run: killHosts },
  restore: { weight: 6, run: restore },
  brokerDies: { weight: 6, run: brokerDies },
  brokerHangs: { weight: 5, run: brokerHangs },
  daemonHangs: { weight: 4, run: daemonHangs },
  silence: { weight: 3, run: silence },
  fullDisk: { weight: 4, run: fullDisk },
  clockJumps: { weight: 4, run: clockJumps },
  latch: { weight: 6, run: latch },
  latchInOutage: { weight: 2, run: latchInOutage },
  latchFile: { weight: 4, run: latchFile },
  latchRemoved: { weight: 3, run: latchRemoved },
  switchedOff: { weight: 3, run: switchedOff },
  modeChanged: { weight: 3, run: modeChanged },
};

/** One fault, drawn by weight. */
export async function runFault(site: Site, names: readonly string[]): Promise<string> {
  const drawn = names.flatMap((name) => (faults[name] === undefined ? [] : [{ name, ...faults[name] }]));
  let at = site.random() * drawn.reduce((sum, { weight }) => sum + weight, 0);
  const fault = drawn.find(({ weight }) => {
    at -= weight;
    return at <= 0;
  });
  if (fault === undefined) throw new Error(`there is no fault of the names ${names.join(", ")}`);
  await fault.run(site);
  return fault.name;
}
