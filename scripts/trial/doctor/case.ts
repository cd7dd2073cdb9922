import type { CheckId } from "../../../daemon/doctor/catalogue.ts";
import type { Site } from "./site.ts";

// biome-ignore lint/suspicious/noConfusingVoidType: most cases have nothing to give.
type Broken = readonly string[] | "can not be made here" | void;

/** One way in which a machine is broken. */
export interface Case {
  readonly name: string;
  /** Which check has to find it, and which of the check's problems. */
  readonly check: CheckId;
  readonly problem: string;
  /** A piece of what doctor says to do. */
  readonly todo: string;
  /** Gives variables for doctor's environment, where it is doctor that sees another machine. */
  break(site: Site): Promise<Broken> | Broken;
  mend(site: Site): Promise<void> | void;
}
