import { join, resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import { type Authority, readAuthority } from "../enrol/authority.ts";
import { CA_FOLDER } from "../enrol/init-fleet.ts";
import { Ledger } from "../enrol/ledger.ts";
import { type CollectorKey, collectorKey } from "../key.ts";
import type { FleetPlace } from "../open.ts";
import { placeOf, type Where } from "./place.ts";

export interface EnrolWhere extends Where {
  readonly ca?: string;
}

/** What a command that signs works with. */
export interface EnrolPlace {
  readonly place: FleetPlace;
  readonly authority: Authority;
  readonly ledger: Ledger;
  readonly key: CollectorKey;
  readonly nowMs: () => number;
}

export function enrolPlace(where: EnrolWhere): EnrolPlace {
  const place = placeOf(where);
  const authority = readAuthority(where.ca === undefined ? join(place.baseDirectory, CA_FOLDER) : resolve(where.ca));
  const key = collectorKey(resolve(place.baseDirectory, place.config.keyFile));
  return { place, authority, ledger: new Ledger(authority.folder), key, nowMs: () => Date.now() };
}

/** A whole number from one bound to the other. */
export function countOption(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
    return value;
  };
}

/** An option that may be given more than once. */
export function several(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
