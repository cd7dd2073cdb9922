import { rmSync } from "node:fs";
import { callDaemon } from "../../daemon/api/control-client.ts";
import type { Outbox } from "../../daemon/fleet/outbox.ts";
import { becomes, Claims } from "./claims.ts";
import { temporaryFolder } from "./daemon.ts";
import { Centre } from "./fleet/centre.ts";
import type { Extent } from "./fleet/extents.ts";
import { balanceOf } from "./fleet/oracle.ts";
import { Plant } from "./fleet/plant.ts";
import { createRandom } from "./random.ts";
import type { Trial } from "./trial.ts";

const ROUNDS = 1000;
const GATEWAYS = 2;
const RATE = 500;
const STORE_BYTES = 268_435_456;
const SETTLE_MS = 900_000;
const SEED = 61_001;

/** A gateway whose databases are copied and brought back, and what the files that were replaced had. */
interface Gateway {
  readonly plant: Plant;
  readonly replaced: Map<string, Extent>[];
}

type Fault = (site: Site) => Promise<string>;

interface Site {
  readonly centre: Centre;
  readonly gateways: readonly Gateway[];
  readonly random: () => number;
}

const pick = <T>(from: readonly T[], random: () => number): T => from[Math.floor(random() * from.length)] as T;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function onLine(
  { gateways, random }: Site,
  trouble: Parameters<Plant["line"]["be"]>[0],
  mostMs: number,
): Promise<void> {
  const { line } = pick(gateways, random).plant;
  line.be(trouble);
  await sleep(random() * mostMs);
  line.be({ kind: "cut" });
  line.be({ kind: "well" });
}

const faults: Readonly<Record<string, Fault>> = {
  gatewayKilled: async ({ gateways, random }) => {
    const { plant } = pick(gateways, random);
    await plant.kill();
    await plant.run();
    return "kill -9 of a gateway";
  },
  collectorKilled: async ({ centre, random }) => {
    await centre.killCollectors();
    await sleep(random() * 500);
    centre.startCollector();
    return "kill -9 of all collectors";
  },
  diesAfterCommit: async ({ centre, random }) => {
    await centre.killCollectors();
    centre.startCollector(1 + Math.floor(random() * 3));
    await becomes(() => centre.running === 0, 6000);
    centre.startCollector();
    return "collector died between COMMIT and acknowledgement";
  },
  threeCollectors: async ({ centre }) => {
    while (centre.running < 3) centre.startCollector();
    return "three collectors";
  },
  brokerKilled: async ({ centre, random }) => {
    await centre.killBroker();
    await sleep(random() * 800);
    await centre.startBroker();
    return "kill -9 of the broker, its state gone";
  },
  databaseKilled: async ({ centre, random }) => {
    await centre.killDatabase();
    await sleep(random() * 800);
    await centre.startDatabase();
    return "PostgreSQL ended at once";
  },
  lineCut: async (site) => {
    await onLine(site, { kind: "cut" }, 10);
    return "line cut";
  },
  lineRefused: async (site) => {
    await onLine(site, { kind: "refused" }, 1500);
    return "no way to the broker";
  },
  halfOpen: async (site) => {
    await onLine(site, { kind: "halfOpen" }, 4000);
    return "line half open";
  },
  slow: async (site) => {
    await onLine(site, { kind: "slow", bytesPerSecond: 1200 }, 4000);
    return "line at 9.6 kbit/s";
  },
  late: async (site) => {
    await onLine(site, { kind: "late", delayMs: 3000 }, 8000);
    return "line 3 s late";
  },
  restored: async ({ gateways, random }) => {
    const { plant, replaced } = pick(gateways, random);
    await plant.kill();
    if (!plant.hasCopy("yesterday")) {
      plant.copyTo("yesterday");
      await plant.run();
      return "backup made";
    }
    replaced.push(plant.extents());
    plant.restoreFrom("yesterday");
    rmSync(`${plant.data}-yesterday`, { recursive: true });
    await plant.run();
    return "an older copy of a gateway's databases brought back";
  },
};

/** How often each is taken, of a hundred: what is dear comes less often. */
const WEIGHTS: Readonly<Record<string, number>> = {
  ...{
    gatewayKilled: 14,
    collectorKilled: 12,
    diesAfterCommit: 8,
    threeCollectors: 4,
    brokerKilled: 10,
    databaseKilled: 6,
  },
  ...{ lineCut: 26, lineRefused: 8, halfOpen: 4, slow: 4, late: 2, restored: 2 },
};

/** Gateways, broker, collectors and database fail at random; at the end nothing is lost, changed, invented or there twice. */
export const trial: Trial = async ({ rounds = ROUNDS, seed = SEED, faults: only, bus, keep, say }) => {
  const folder = temporaryFolder("fleet-trial");
  const claims = new Claims(say);
  const random = createRandom(seed);
  const isEmbedded = bus === "embedded";
  const centre = new Centre(folder, isEmbedded);
  await centre.start();
  const gateways = Array.from(
    { length: GATEWAYS },
    (_, at): Gateway => ({
      plant: new Plant(folder, `plant-${at + 1}`, centre.brokerPort, RATE, STORE_BYTES),
      replaced: [],
    }),
  );
  for (const { plant } of gateways) await plant.start();
  const site = { centre, gateways, random };
  const counts = new Map<string, number>();
  const names = Object.entries(WEIGHTS)
    .filter(([name]) => (only === undefined || only.includes(name)) && !(isEmbedded && /database|three/.test(name)))
    .flatMap(([name, weight]) => Array<string>(weight).fill(name));
  for (let round = 1; round <= rounds; round++) {
    const told = await (faults[pick(names, random)] as Fault)(site);
    counts.set(told, (counts.get(told) ?? 0) + 1);
    if (round % 20 === 0) say(`${round} faults so far, the last one: ${told}`);
    await sleep(random() * 1200);
  }
  for (const [told, n] of [...counts].sort(([, one], [, other]) => other - one)) claims.figure(`faults: ${told}`, n);
  claims.figure("faults, in all", rounds);
  await settle(site, claims);
  await judge(site, claims);
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

async function judge({ centre, gateways }: Site, claims: Claims): Promise<void> {
  for (const { plant } of gateways) await plant.stop();
  await centre.stop();
  const database = await centre.database();
  const sum = { committed: 0, stored: 0, dropped: 0, destroyed: 0 };
  for (const { plant, replaced } of gateways) {
    const balance = await balanceOf(database, plant.name, plant.extents(), replaced);
    for (const name of ["committed", "stored", "dropped", "destroyed"] as const) sum[name] += balance[name];
    claims.figure(`${plant.name}: starts, restores`, `${plant.starts}, ${replaced.length}`);
    for (const what of ["lost", "forgotten", "changed", "invented"] as const)
      claims.holds(
        balance[what].length === 0,
        `${what}: ${balance[what].length}, as ${balance[what].slice(0, 5).join(", ")}`,
      );
  }
  for (const [name, n] of Object.entries(sum)) claims.figure(`records ${name}`, n);
  const [unique] = await database.query<{ rows: number; bodies: number }>(
    "SELECT count(*) AS rows, count(DISTINCT hash) AS bodies FROM record",
  );
  claims.figure("stored rows, different bodies among them", `${unique?.rows}, ${unique?.bodies}`);
  claims.holds(unique?.rows === unique?.bodies, `twice: ${(unique?.rows ?? 0) - (unique?.bodies ?? 0)} records`);
  const [aside] = await database.query<{ conflicts: number; dead: number; gaps: number }>(
    "SELECT (SELECT count(*) FROM conflict) AS conflicts, (SELECT count(*) FROM dead_letter) AS dead, (SELECT count(*) FROM gaps) AS gaps",
  );
  claims.figure("conflicts, dead letters", `${aside?.conflicts}, ${aside?.dead}`);
  claims.holds(aside?.conflicts === 0 && aside.dead === 0, "nothing was put aside");
  await database.close();
  await centre.stopDatabase();
}
