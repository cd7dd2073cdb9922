import { inOwnNetwork } from "./own-network.ts";
import type { Trial } from "./trial.ts";

/**
 * The network cable between a gateway and its fleet comes out and goes in again, in turns: does anybody on the gateway's
 * side notice, and does the fleet have everything in the end? `minutes`: how long it is out in all; `rounds`: how often.
 */
export const trial: Trial = (options) => inOwnNetwork("scripts/trial/cable/inside-main", options);
