import { inOwnNetwork } from "./own-network.ts";
import { prepareDebian } from "./service/machine.ts";
import type { Trial } from "./trial.ts";

/**
 * One package over another on a booted Debian under load: up, down, versions that do not start, and the power cut while
 * `dpkg` is at work. `rounds`: how many power cuts.
 */
export const trial: Trial = (options) => {
  prepareDebian(options.say);
  return inOwnNetwork("scripts/trial/upgrade/inside-main", options);
};
