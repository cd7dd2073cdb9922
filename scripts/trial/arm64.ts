import { prepareForeign } from "./arm64/foreign.ts";
import { inOwnNetwork } from "./own-network.ts";
import type { Trial } from "./trial.ts";

/**
 * The package for arm64 in a Debian for arm64 under qemu's user emulation: installed by its own `dpkg`, it watches that
 * machine and decides. No service manager runs there. `rounds`: how many decisions are waited for.
 */
export const trial: Trial = (options) => {
  prepareForeign(options.say);
  return inOwnNetwork("scripts/trial/arm64/inside-main", options);
};
