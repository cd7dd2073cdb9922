import { rmSync } from "node:fs";
import { callDaemon } from "../../daemon/api/control-client.ts";
import type { Outbox } from "../../daemon/fleet/outbox.ts";
import { Claims, sleep } from "./claims.ts";
import { temporaryFolder } from "./daemon.ts";
import { Centre } from "./fleet/centre.ts";
import { faults, weights } from "./fleet/faults.ts";
import { judge } from "./fleet/judge.ts";
import { againInOwnNetwork, OwnNetwork } from "./fleet/network.ts";
import { Plant } from "./fleet/plant.ts";
import { type Fault, type Gateway, pick, type Site } from "./fleet/site.ts";
import { createRandom } from "./random.ts";
import type { Trial } from "./trial.ts";

const ROUNDS = 1000;
const RATE = 500;
const STORE_BYTES = 268_435_456;
/** The least that may be set: some twenty seconds of readings. */
const SMALL_STORE_BYTES = 8_388_608;
const SETTLE_MS = 900_000;
const SEED = 61_001;
/** After so many rounds each kind of fault has done what it is for, or the trial proves less than it says. */
const LONG_ROUNDS = 100;

/** Packets are lost in a network of its own. */
export const again = againInOwnNetwork;

/** Gateways, broker, collectors and database fail at random; at the end nothing is lost, changed, invented or there twice. */
export const trial: Trial = async ({ rounds = ROUNDS, seed = SEED, faults: only, bus, keep, say }) => {
  const folder = temporaryFolder("fleet-trial");
  const claims = new Claims(say);
  const random = createRandom(seed);
  const isEmbedded = bus === "embedded";
  const network = OwnNetwork.open();
  if (network === undefined) say("only root may make a network of its own: no packets are lost below TCP");
  const centre = new Centre(folder, isEmbedded);
  await centre.start();
  const gateway = (name: string, maxBytes: number): Gateway => ({
    plant: new Plant({ folder, name, brokerPort: centre.brokerPort, rate: RATE, maxBytes }),
    replaced: [],
  });
  const small = gateway("plant-2", SMALL_STORE_BYTES);
  const site: Site = { centre, gateways: [gateway("plant-1", STORE_BYTES), small], small, network, random };
  for (const { plant } of site.gateways) await plant.start();
  const names = Object.entries(weights)
    .filter(([name]) => only === undefined || only.includes(name))
    .filter(([name]) => !(isEmbedded && /database|three/.test(name)) && !(network === undefined && name === "lossy"))
    .flatMap(([name, weight]) => Array<string>(weight).fill(name));
  const taken = new Map<string, number>();
  const counts = new Map<string, number>();
  for (let round = 1; round <= rounds; round++) {
    const name = pick(names, random);
    const told = await (faults[name] as Fault)(site);
    taken.set(name, (taken.get(name) ?? 0) + 1);
    counts.set(told, (counts.get(told) ?? 0) + 1);
    if (round % 20 === 0) say(`${round} faults so far, the last one: ${told}`);
    await sleep(random() * 1200);
  }
  for (const [told, n] of [...counts].sort(([, one], [, other]) => other - one)) claims.figure(`faults: ${told}`, n);
  claims.figure("faults, in all", rounds);
  await settle(site, claims);
  for (const { plant } of site.gateways) await plant.stop();
  await centre.stop();
  const database = await centre.database();
  const { dropped } = await judge(site, database, claims);
  await database.close();
  await centre.stopDatabase();
  const isSure = (name: string): boolean =>
    (taken.get(name) ?? 0) > 1 || (rounds >= LONG_ROUNDS && names.includes(name));
  if (network !== undefined) {
    claims.figure("packets lost below TCP", network.lost);
    claims.holds(!isSure("lossy") || network.lost > 0, "loss: not one packet was lost");
  }
  claims.holds(!isSure("away") || dropped > 0, "retention: nothing was dropped before it was sent");
  if (!keep) rmSync(folder, { recursive: true, force: true });
  return claims.result();
};

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
