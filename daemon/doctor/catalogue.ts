import { configurationChecks } from "./catalogue-configuration.ts";
import { connectivityChecks } from "./catalogue-connectivity.ts";
import { machineChecks } from "./catalogue-machine.ts";
import { serviceChecks } from "./catalogue-service.ts";
import { storageChecks } from "./catalogue-storage.ts";

/** In the order in which they are told. */
export const groups = ["machine", "configuration", "storage", "connectivity", "service"] as const;
export type Group = (typeof groups)[number];

export interface CatalogueProblem {
  readonly severity: "error" | "warning";
  readonly when: string;
  /** One sentence with an exact command where there is one; `{name}` is filled in. */
  readonly todo: string;
}

export interface CatalogueCheck {
  readonly looksAt: string;
  readonly problems: Readonly<Record<string, CatalogueProblem>>;
}

/** Everything that doctor looks at, can find, and says to do: the one table behind the findings and their page. */
export const catalogue = {
  ...machineChecks,
  ...configurationChecks,
  ...storageChecks,
  ...connectivityChecks,
  ...serviceChecks,
} as const;

export type CheckId = keyof typeof catalogue;
export type Problem<C extends CheckId> = keyof (typeof catalogue)[C]["problems"] & string;

export const checkIds = Object.keys(catalogue) as CheckId[];

export function groupOf(check: CheckId): Group {
  return check.slice(0, check.indexOf(".")) as Group;
}

export function problemsOf(check: CheckId): Readonly<Record<string, CatalogueProblem>> {
  return (catalogue[check] as CatalogueCheck).problems;
}
