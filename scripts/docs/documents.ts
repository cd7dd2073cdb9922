import { configurationReference, configurationSchema } from "./configuration.ts";
import { render as doctorPage } from "./doctor-page.ts";
import { render as errorsPage } from "./errors-page.ts";
import { render as fleetConfiguration } from "./fleet-configuration.ts";
import { render as linkPage } from "./link-page.ts";

/** A file that is made from the sources and kept in step with them. */
export interface GeneratedDocument {
  /** From the root of the repository. */
  readonly path: string;
  readonly render: () => string | Promise<string>;
}

/** All generated documents; a new one is one more line. */
export const documents: readonly GeneratedDocument[] = [
  { path: "docs/configuration.md", render: configurationReference },
  { path: "config/holdfast.schema.json", render: configurationSchema },
  { path: "docs/doctor.md", render: doctorPage },
  { path: "docs/errors.md", render: errorsPage },
  { path: "docs/fleet-configuration.md", render: fleetConfiguration },
  { path: "docs/link.md", render: linkPage },
];
