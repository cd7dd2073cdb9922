/** What was done to the log. forged: a signature that is not the gateway's; unreadable: a part of the file is damaged. */
export type Damage = "edited" | "missing" | "inserted" | "reordered" | "truncated" | "forged" | "unreadable";

/** The first row of a stream that is not as it was written. */
export interface BadRow {
  readonly what: Damage;
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  /** Set when only the chain is broken: the damage lies somewhere from `seq` to here. */
  readonly toSeq: number | undefined;
  /** The row's number in the log; undefined for a row that is not there. */
  readonly n: number | undefined;
  /** Up to this row of the log nothing is wrong; set where the place alone does not say so. */
  readonly afterN: number | undefined;
  readonly detail: string;
}

/** A bad row with the number in the log from which on something may be wrong, by which the first is found. */
export interface Finding extends Omit<BadRow, "afterN"> {
  readonly near: number;
  /** Set when it lies anywhere from `near` to this row: another finding in between says it better. */
  readonly upTo?: number;
}

/** All findings in the order of the log, the first of all first. */
export function inOrder(findings: readonly Finding[]): BadRow[] {
  const unreadable = findings.find((one) => one.what === "unreadable")?.near ?? 0;
  // What can not be read may have told of rows that seem to be missing before it, or vouched for them.
  const place = ({ what, near }: Finding): number =>
    what === "missing" || what === "truncated" || what === "forged" ? Math.max(near, unreadable) : near;
  const isSaidBetter = ({ near, upTo = -1 }: Finding): boolean =>
    findings.some((one) => one.upTo === undefined && one.near >= near && one.near <= upTo);
  return findings
    .filter((finding) => !isSaidBetter(finding))
    .map((finding) => ({ ...finding, near: place(finding) }))
    .sort((a, b) => a.near - b.near)
    .map(plain);
}

function plain({ near, upTo: _, detail, ...place }: Finding): BadRow {
  const isEarlier = near < (place.n ?? Number.MAX_SAFE_INTEGER);
  return { ...place, afterN: isEarlier ? Math.floor(near) - 1 : undefined, detail };
}
