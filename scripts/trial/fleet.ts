import { rmSync } from "node:fs";
import { callDaemon } from "../../daemon/api/control-client.ts";
import type { Outbox } from "../../daemon/fleet/outbox.ts";
import { Claims, sleep } from "./claims.ts";
import { temporaryFolder } from "./daemon.ts";
import { faultNames, faults, impossible } from "./fleet/faults.ts";
import { judge, judgeFaults, judgeForks, judgeTimes } from "./fleet/judge.ts";
import { againInOwnNetwork } from "./fleet/network.ts";
import { endSite, type Fault, openSite, pick, type Site } from "./fleet/site.ts";
import { createRandom } from "./random.ts";
import type { Trial } from "./trial.ts";

const ROUNDS = 1000;
const SETTLE_MS = 900_000;
const SEED = 61_001;

/** Packets are lost in a network of its own. */
export const again = againInOwnNetwork;

/** Gateways, broker, collectors and database fail at random; at the end nothing is lost, changed, invented or there twice. */
export const trial: Trial = async ({ rounds = ROUNDS, seed = SEED, faults: only, bus, keep, say }) => {
  const folder = temporaryFolder("fleet-trial");
  const claims = new Claims(say);
  const fromMs = Date.now();
  const site = openSite(folder, bus === "embedded", createRandom(seed));
  const interrupted = (): void => {
    endSite(site);
    process.exit(143);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupted);
  try {
    await site.centre.start();
    for (const { plant } of site.gateways) await plant.start();
    for (const [name, why] of impossible(site)) claims.figure(`not tried: ${name}`, why);
    const names = faultNames(site, only);
    const taken = await failures(site, names, rounds, claims);
    await settle(site, claims);
    for (const { plant } of site.gateways) await plant.stop();
    await site.centre.stop();
    const database = await site.centre.database();
    const counts = await judge(site, database, claims);
    const mistimed = await judgeTimes(database, [fromMs, Date.now()], claims);
    const copies = await judgeForks(site, database, claims);
    judgeFaults(site, { names, taken, rounds, counts, mistimed, copies }, claims);
    await database.close();
    await site.centre.stopDatabase();
  } finally {
    endSite(site);
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupted);
  }
  if (!keep) rmSync(folder, { recursive: true, force: true });
  return claims.result();
};

/** One fault after the other; gives how often each was taken. */
async function failures(
  site: Site,
  names: readonly string[],
  rounds: number,
  claims: Claims,
): Promise<Map<string, number>> {
  const taken = new Map<string, number>();
  const told = new Map<string, number>();
  for (let round = 1; round <= rounds; round++) {
    const name = pick(names, site.random);
    const what = await (faults[name] as Fault)(site);
    taken.set(name, (taken.get(name) ?? 0) + 1);
    told.set(what, (told.get(what) ?? 0) + 1);
    if (round % 20 === 0) claims.say(`${round} faults so far, the last one: ${what}`);
    await sleep(site.random() * 1200);
  }
  for (const [what, n] of [...told].sort(([, one], [, other]) => other - one)) claims.figure(`faults: ${what}`, n);
  claims.figure("faults, in all", rounds);
  return taken;
}

async function settle({ centre, gateways }: Site, claims: Claims): Promise<void> {
  if (centre.running === 0) centre.startCollector();
  for (const { plant } of gateways) plant.quiet();
  const from = performance.now();
  for (const { plant } of gateways) {
    const waiting = async (): Promise<number> => {
      const { streams } = (await callDaemon({ dataDirectory: plant.data, verb: "outbox" })) as Outbox;
      return streams.filter(({ name }) => name !== "telemetry").reduce((sum, { records }) => sum + records, 0);
    };
    claims.figure(`${plant.name}: records that waited when the faults were over`, await waiting());
    const settled = await until(async () => (await waiting()) === 0, SETTLE_MS);
    claims.holds(settled, `${plant.name} settled: ${await waiting()} records wait`);
  }
  claims.figure("seconds until all was settled", Math.round((performance.now() - from) / 1000));
}

async function until(is: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  for (const endsAt = performance.now() + withinMs; performance.now() < endsAt; await sleep(500))
    if (await is()) return true;
  return false;
}
