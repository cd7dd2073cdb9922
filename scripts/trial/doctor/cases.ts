import type { Case } from "./case.ts";
import { configurationCases } from "./cases-configuration.ts";
import { connectivityCases } from "./cases-connectivity.ts";
import { machineCases } from "./cases-machine.ts";
import { serviceCases } from "./cases-service.ts";
import { storageCases } from "./cases-storage.ts";

export const cases: readonly Case[] = [
  ...machineCases,
  ...configurationCases,
  ...storageCases,
  ...connectivityCases,
  ...serviceCases,
];
