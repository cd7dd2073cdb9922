import { configurationChecks, modelChecks } from "./configuration-checks.ts";
import { connectivityChecks } from "./connectivity-checks.ts";
import { databaseChecks } from "./database-checks.ts";
import type { Plan } from "./examine.ts";
import { machineChecks } from "./machine-checks.ts";
import { serviceChecks } from "./service-checks.ts";
import { speedChecks, storageChecks } from "./storage-checks.ts";

/** What is looked at: each track beside the others, the steps of a track one after the other. */
export function allTracks(): readonly Plan[] {
  return [
    [[...machineChecks, ...configurationChecks, ...storageChecks, ...connectivityChecks, ...serviceChecks]],
    // The disk is measured before others read it; models and databases then share what processors there are.
    [speedChecks, [...databaseChecks, ...modelChecks]],
  ];
}
