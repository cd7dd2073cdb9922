import { becomes, sleep } from "../claims.ts";
import type { Fault } from "./site.ts";

/** What is left on a full disk. */
const LEFT_BYTES = 65_536;
const NOTICED_WITHIN_MS = 15_000;

/** Somebody else's data takes all room for some seconds, and then is gone. */
export const diskFaults: Readonly<Record<string, Fault>> = {
  gatewayDiskFull: async ({ onDisk, random }) => {
    if (onDisk === undefined) throw new Error("there is no disk to fill");
    const { plant } = onDisk;
    plant.disk?.fillTo(LEFT_BYTES);
    await becomes(() => plant.isFull(), NOTICED_WITHIN_MS);
    await sleep(random() * 4000);
    if (random() < 0.6) {
      plant.disk?.free();
      return "disk of a gateway full";
    }
    await plant.kill();
    const starting = plant.run();
    await sleep(1000 + random() * 2000);
    plant.disk?.free();
    await starting;
    return "disk of a gateway full, kill -9, and a start on the full disk";
  },
  databaseDiskFull: async ({ centre, databaseDisk, random }) => {
    const before = centre.said(NO_SPACE);
    databaseDisk?.fillTo(LEFT_BYTES);
    await becomes(() => !centre.hasDatabase || centre.said(NO_SPACE) > before, NOTICED_WITHIN_MS);
    await sleep(random() * 5000);
    databaseDisk?.free();
    if (centre.hasDatabase) return "disk of PostgreSQL full";
    await centre.startDatabase();
    return "disk of PostgreSQL full, and PostgreSQL ended";
  },
};

/** What PostgreSQL says of it. */
export const NO_SPACE = '"code":"53100"';
