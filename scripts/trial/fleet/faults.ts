import { join } from "node:path";
import { FakeTime } from "../act/fake-time.ts";
import { becomes, sleep } from "../claims.ts";
import { clockFaults } from "./clock-faults.ts";
import { cloneFaults } from "./clone.ts";
import { diskFaults } from "./disk-faults.ts";
import { readLogFile } from "./log-file.ts";
import type { Plant } from "./plant.ts";
import { type Fault, pick, type Site } from "./site.ts";

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

export const faults: Readonly<Record<string, Fault>> = {
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
  /** Of the packets between gateway and line, both ways, from connecting on; half of the times all is late as well. */
  lossy: async ({ gateways, network, random }) => {
    const { line } = pick(gateways, random).plant;
    const isLate = random() < 0.5;
    network?.lose(line.port, 0.2);
    line.be({ kind: "cut" });
    line.be(isLate ? { kind: "late", delayMs: 3000 } : { kind: "well" });
    await sleep(5000 + random() * 15_000);
    line.be({ kind: "well" });
    network?.well();
    return isLate ? "a fifth of all packets lost, and the line 3 s late" : "a fifth of all packets lost";
  },
  /** Goes on while other things fail: longer than the small store has room for. */
  away: async ({ small, random }) => {
    small.plant.line.away(30_000 + random() * 20_000);
    return "no way to the broker for 30 to 50 s, with a small store";
  },
  restored: async ({ gateways, random }) => {
    const gateway = pick(gateways, random);
    const { plant, replaced, copy } = gateway;
    await plant.kill();
    if (copy === undefined) {
      gateway.copy = join(plant.folder, "yesterday");
      plant.copyTo(gateway.copy);
      await plant.run();
      return "backup made";
    }
    replaced.push(readLogFile(plant.data));
    plant.restoreFrom(copy);
    gateway.copy = undefined;
    await plant.run();
    return "an older copy of a gateway's databases brought back";
  },
  ...diskFaults,
  ...clockFaults,
  ...cloneFaults,
};

/** How often each is taken, of about a hundred: what is dear comes less often. */
const weights: Readonly<Record<string, number>> = {
  ...{ gatewayKilled: 14, collectorKilled: 12, diesAfterCommit: 8, threeCollectors: 4 },
  ...{ brokerKilled: 10, databaseKilled: 6, restored: 3 },
  ...{ lineCut: 24, lineRefused: 6, halfOpen: 4, slow: 4, late: 2, lossy: 6, away: 3 },
  ...{ gatewayDiskFull: 4, databaseDiskFull: 4, wrongClock: 8, suspended: 3, cloned: 3 },
};

/** Which faults can not be done here, and why. */
export function impossible({ network, onDisk, databaseDisk, centre }: Site): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (network === undefined) found.set("lossy", "only root may have a network of its own");
  if (onDisk === undefined) found.set("gatewayDiskFull", "only root may mount a disk");
  if (databaseDisk === undefined) found.set("databaseDiskFull", "there is no disk of its own for the database");
  if (FakeTime.libraryPath() === undefined) found.set("wrongClock", "libfaketime is not here");
  if (centre.isEmbedded)
    for (const name of ["databaseKilled", "threeCollectors"]) found.set(name, "the database is embedded");
  return found;
}

/** The faults that can be done here, each as often as it is to be taken. */
export function faultNames(site: Site, only?: readonly string[]): string[] {
  const not = impossible(site);
  return Object.entries(weights)
    .filter(([name]) => (only === undefined || only.includes(name)) && !not.has(name))
    .flatMap(([name, weight]) => Array<string>(weight).fill(name));
}
