import type { Plan } from "./examine.ts";
import { machineChecks } from "./machine-checks.ts";

/** What is looked at: each track beside the others, the steps of a track one after the other. */
export function allTracks(): readonly Plan[] {
  return [[machineChecks]];
}
