import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { SmallDisk } from "../small-disk.ts";
import { Centre } from "./centre.ts";
import type { LogFile } from "./log-file.ts";
import { OwnNetwork } from "./network.ts";
import { Plant } from "./plant.ts";

const RATE = 500;
const STORE_BYTES = 268_435_456;
/** The least that may be set: some twenty seconds of readings. */
const SMALL_STORE_BYTES = 8_388_608;
/** Room for a thousand faults; nothing is taken of it before it is used. */
const GATEWAY_DISK_MB = 400;
const DATABASE_DISK_MB = 4000;
/** Little is kept in reserve, so that a full disk is felt in the write-ahead log too. */
const POSTGRES_SETTINGS = ["max_wal_size=48MB", "min_wal_size=32MB"];

/** A gateway whose databases are copied and brought back, and what the files that were replaced had. */
export interface Gateway {
  readonly plant: Plant;
  readonly replaced: LogFile[];
  /** Of each copy that ran beside it, what it wrote after it was copied. */
  readonly clones: LogFile[];
  /** Where a backup lies that was not brought back yet. */
  copy?: string | undefined;
}

export interface Site {
  readonly centre: Centre;
  readonly gateways: readonly Gateway[];
  /** The one whose store is so small that it fills within seconds. */
  readonly small: Gateway;
  /** The one whose data is on a disk of its own, like the database; where such disks can be had. */
  readonly onDisk: Gateway | undefined;
  readonly databaseDisk: SmallDisk | undefined;
  /** Undefined where only the program's own lines can be bad. */
  readonly network: OwnNetwork | undefined;
  readonly random: () => number;
}

/** Does something bad, and tells what. */
export type Fault = (site: Site) => Promise<string>;

export function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** Two gateways and a fleet. Disks to fill, and a network that loses packets, are had by root alone. */
export function openSite(folder: string, isEmbedded: boolean, random: () => number): Site {
  const isRoot = process.getuid?.() === 0;
  // PostgreSQL is another user.
  chmodSync(folder, 0o755);
  const disk = (name: string, megabytes: number): SmallDisk | undefined => {
    mkdirSync(join(folder, name));
    return isRoot ? new SmallDisk(join(folder, name), megabytes) : undefined;
  };
  const databaseDisk = isEmbedded ? undefined : disk("postgres", DATABASE_DISK_MB);
  const centre = new Centre(folder, isEmbedded, {
    ...{ folder: databaseDisk?.folder, settings: POSTGRES_SETTINGS, log: join(folder, "postgres.log") },
  });
  const gateway = (name: string, maxBytes: number, itsDisk?: SmallDisk): Gateway => ({
    plant: new Plant({ folder, name, rate: RATE, maxBytes, disk: itsDisk }, centre),
    replaced: [],
    clones: [],
  });
  const large = gateway("plant-1", STORE_BYTES, disk("plant-1", GATEWAY_DISK_MB));
  const small = gateway("plant-2", SMALL_STORE_BYTES);
  return {
    ...{ centre, gateways: [large, small], small, databaseDisk, random },
    ...{ onDisk: isRoot ? large : undefined, network: OwnNetwork.open() },
  };
}

/** Ends whatever of it runs still, and lets its disks go. */
export function endSite({ centre, gateways, databaseDisk }: Site): void {
  for (const { plant } of gateways) plant.end();
  centre.end();
  for (const disk of [databaseDisk, ...gateways.map(({ plant }) => plant.disk)]) disk?.remove();
}
