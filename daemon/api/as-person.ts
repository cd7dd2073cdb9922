import { z } from "zod";
import { DaemonError } from "../errors.ts";
import { type Deed, may, type Person } from "../people.ts";
import type { Verb } from "./control-server.ts";
import type { Identify } from "./identify.ts";

/** What somebody was refused. What people did is recorded by the part that did it. */
export interface Refusal {
  readonly by: string;
  readonly verb: string;
  readonly reason: string;
  /** Without token and claim. */
  readonly asked: Readonly<Record<string, unknown>>;
}

/**
 * Wraps what a person asks for: finds out who it is, reads the parameters, and has a refusal recorded with their name.
 */
export type AsPerson = <T extends Readonly<Record<string, unknown>>>(
  verb: string,
  schema: z.ZodType<T>,
  work: (person: Person, given: T) => unknown,
) => Verb;

export function personAsker(identify: Identify, refused: (refusal: Refusal) => void): AsPerson {
  return (verb, schema, work) => async (parameters, _item, connection) => {
    const given = schema.safeParse(parameters);
    if (!given.success) throw new DaemonError("REQUEST_INVALID", { reason: z.prettifyError(given.error) });
    let by = "unknown";
    try {
      const person = identify(parameters, connection);
      by = person.name;
      return await work(person, given.data);
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      const { who, reason } = error.detail;
      refused({ by: String(who ?? by), verb, reason: String(reason ?? error.code), asked: { ...given.data } });
      throw error;
    }
  };
}

/** Throws NOT_ALLOWED unless the person has the role for it. */
export function demand(person: Person, deed: Deed): void {
  if (may(person, deed)) return;
  const reason = person.isKnown ? "role" : (person.doubt ?? "unknown");
  const hint = "Roles are given in `people` of the gateway's file.";
  throw new DaemonError("NOT_ALLOWED", { who: person.name, reason }, { hint });
}
