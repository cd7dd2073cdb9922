import type { Centre } from "./centre.ts";
import type { LogFile } from "./log-file.ts";
import type { OwnNetwork } from "./network.ts";
import type { Plant } from "./plant.ts";

/** A gateway whose databases are copied and brought back, and what the files that were replaced had. */
export interface Gateway {
  readonly plant: Plant;
  readonly replaced: LogFile[];
}

export interface Site {
  readonly centre: Centre;
  readonly gateways: readonly Gateway[];
  /** The one whose store is so small that it fills within seconds. */
  readonly small: Gateway;
  /** Undefined where only the program's own lines can be bad. */
  readonly network: OwnNetwork | undefined;
  readonly random: () => number;
}

/** Does something bad, and tells what. */
export type Fault = (site: Site) => Promise<string>;

export function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T;
}
