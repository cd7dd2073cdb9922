import { DaemonError } from "../errors.ts";
import type { People, Person } from "../people.ts";
import type { Claims } from "./claims.ts";

/** Who asks, by what a request carries. Throws PERSON_UNKNOWN for a token that is nobody's. */
export type Identify = (parameters: Readonly<Record<string, unknown>>, connection: object) => Person;

/** A token beats the user of the other end: it is given on purpose. Without either nobody knows who asks. */
export function createIdentify(people: People, claims: Claims): Identify {
  return ({ token, claim }, connection) => {
    const uid = typeof claim === "string" ? claims.redeem(claim, connection) : undefined;
    if (token === undefined) return people.byUid(uid);
    const person = typeof token === "string" ? people.byToken(token) : undefined;
    if (person === undefined) throw new DaemonError("PERSON_UNKNOWN", { user: people.byUid(uid).name });
    return person;
  };
}
