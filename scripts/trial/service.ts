import { inOwnNetwork } from "./own-network.ts";
import { prepareDebian } from "./service/machine.ts";
import type { Trial } from "./trial.ts";

/**
 * The package on a booted Debian: installed, stopped, killed, hung, mistyped, and its power cut at random moments, while
 * sensors outside of it go on. `rounds`: how many power cuts.
 */
export const trial: Trial = (options) => {
  prepareDebian(options.say);
  return inOwnNetwork("scripts/trial/service/inside-main", options);
};
