import { rmSync } from "node:fs";
import { join } from "node:path";
import { becomes, sleep } from "../claims.ts";
import { epochOf, readLogFile } from "./log-file.ts";
import { type Fault, pick } from "./site.ts";

const TOLD_WITHIN_MS = 15_000;

/** A copy of the disk in a second machine, which for some seconds says that it is the first. */
export const cloneFaults: Readonly<Record<string, Fault>> = {
  cloned: async ({ gateways, random }) => {
    const { plant, clones } = pick(gateways, random);
    await plant.kill();
    const clone = plant.twin(join(plant.folder, `clone-${clones.length + 1}`));
    plant.copyTo(clone.data);
    const shared = new Set([...readLogFile(clone.data).streams.keys()].map(epochOf));
    const startPlant = async (): Promise<void> => {
      await plant.run();
      await becomes(() => plant.hasToldItsStart(), TOLD_WITHIN_MS);
    };
    const isLast = random() < 0.5;
    if (isLast) await startPlant();
    // Who connects last takes the name from the other one.
    await clone.start();
    await becomes(() => clone.hasToldItsStart(), TOLD_WITHIN_MS);
    if (!isLast) await startPlant();
    await sleep(random() * 4000);
    await clone.kill();
    clone.quiet();
    await clone.line.stop();
    const { streams, drops } = readLogFile(clone.data);
    clones.push({ streams: new Map([...streams].filter(([name]) => !shared.has(epochOf(name)))), drops });
    rmSync(clone.folder, { recursive: true });
    return `a copy of a gateway ran beside it, started ${isLast ? "after" : "before"} it`;
  },
};
