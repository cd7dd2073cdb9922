import { sleep } from "../claims.ts";
import type { Site } from "./site.ts";

/** Points on the way of an action at which the daemon is made to die, and how often it passes them in a second or two. */
const POINTS: Readonly<Record<string, number>> = {
  "act.judged": 300,
  "act.durable": 300,
  "act.leave": 600,
  "act.left": 600,
  "act.end": 600,
  "act.recovered": 1,
  "commit.before": 300,
  "commit.after": 300,
  "position.after": 1,
  "epoch.after": 1,
};

const WORK_MS = 700;
const DIES_WITHIN_MS = 2500;

export type Fault = (site: Site) => Promise<void>;

function between(site: Site, leastMs: number, mostMs: number): number {
  return leastMs + site.random() * (mostMs - leastMs);
}

function oneOf<T>(site: Site, values: readonly T[]): T {
  return values[Math.floor(site.random() * values.length)] as T;
}

/** A daemon that has just died is started again; often so that it dies at a point of the way. */
function again(site: Site): void {
  if (site.random() < 0.35) {
    site.launch();
    return;
  }
  const point = oneOf(site, Object.keys(POINTS));
  site.launch(`${point}:${1 + Math.floor(site.random() * (POINTS[point] ?? 1))}`);
}

/** kill -9: at the point for which it is armed, or at any moment, in the middle of a start too. */
const kill: Fault = async (site) => {
  if (site.isArmed) {
    const died = await site.diesWithin(DIES_WITHIN_MS);
    site.story.count(died ? "kill -9 at a point" : "kill -9 at any moment");
  } else {
    if (site.random() < 0.8) await site.ready();
    await sleep(between(site, 50, 1500));
    site.story.count("kill -9 at any moment");
  }
  await site.kill();
  if (site.random() < 0.3) await backup(site);
  again(site);
};

async function backup(site: Site): Promise<void> {
  await site.ledger.look(false);
  site.snapshot();
  await site.ledger.look(true);
}

export const faults: Readonly<Record<string, { readonly weight: number; readonly run: Fault }>> = {
  kill: { weight: 50, run: kill },
};

/** One fault, drawn by weight. */
export async function runFault(site: Site, names: readonly string[] = Object.keys(faults)): Promise<string> {
  const all = names.reduce((sum, name) => sum + (faults[name]?.weight ?? 0), 0);
  let at = site.random() * all;
  for (const name of names) {
    const fault = faults[name];
    at -= fault?.weight ?? 0;
    if (fault === undefined || at > 0) continue;
    await fault.run(site);
    return name;
  }
  await sleep(WORK_MS);
  return "none";
}
