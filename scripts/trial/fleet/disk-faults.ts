import { becomes, sleep } from "../claims.ts";
import type { Fault } from "./site.ts";

/** What is left on a full disk. */
const LEFT_BYTES = 65_536;
const NOTICED_WITHIN_MS = 15_000;
const TOLD_WITHIN_MS = 5000;

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
    const [told, panics] = [centre.said(NO_SPACE), centre.databaseSaid(PANIC)];
    databaseDisk?.fillTo(LEFT_BYTES);
    // One who tries already does not say so each time.
    await becomes(() => centre.said(NO_SPACE) > told, TOLD_WITHIN_MS);
    // A table that can not grow costs a transaction; a write-ahead log that can not grow ends the server.
    if (random() < 0.5) await centre.exhaustDatabaseLog();
    await sleep(random() * 5000);
    databaseDisk?.free();
    await centre.reviveDatabase();
    return centre.databaseSaid(PANIC) > panics
      ? "disk of PostgreSQL full, for its write-ahead log too: it ended by PANIC"
      : "disk of PostgreSQL full";
  },
};

/** What PostgreSQL says of it to a collector, and when its write-ahead log has none. */
export const NO_SPACE = '"code":"53100"';
export const PANIC = "PANIC:";
