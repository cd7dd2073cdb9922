import type { People, Person } from "../people.ts";
import type { Claims } from "./claims.ts";

/** Who asks, by what a request carries. */
export type Identify = (parameters: Readonly<Record<string, unknown>>, connection: object) => Person;

/**
 * A token beats the user of the other end: it is given on purpose. One that is nobody's makes its bearer unknown; without
 * token and claim nobody knows who asks. Unknown people may stop and tighten, and no more.
 */
export function createIdentify(people: People, claims: Claims): Identify {
  return ({ token, claim }, connection) => {
    const user = people.byUid(typeof claim === "string" ? claims.redeem(claim, connection) : undefined);
    if (token === undefined) return user;
    const person = typeof token === "string" ? people.byToken(token) : undefined;
    return person ?? { ...user, name: user.isKnown ? `user:${user.name}` : user.name, isKnown: false, doubt: "token" };
  };
}
