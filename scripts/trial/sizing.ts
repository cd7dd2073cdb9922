import { inOwnNetwork } from "./own-network.ts";
import { prepareDebian } from "./service/machine.ts";
import type { Trial } from "./trial.ts";

/**
 * What the installed service takes of a machine, at rest and at 1, 10, 100 and 1,000 events a second: processor, memory, and
 * what goes to a disk that nobody else writes to. `rounds`: seconds at each rate.
 */
export const trial: Trial = (options) => {
  prepareDebian(options.say);
  return inOwnNetwork("scripts/trial/sizing/inside-main", options);
};
