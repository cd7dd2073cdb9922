import { inOwnNetwork } from "./own-network.ts";
import type { Trial } from "./trial.ts";

/**
 * A booted Debian with the package, broken in one way after the other: `holdfast doctor` has to name each, and nothing
 * once it is mended. `--faults A,B`: only those cases.
 */
export const trial: Trial = (options) => inOwnNetwork("scripts/trial/doctor/inside-main", options);
