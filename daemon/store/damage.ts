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
  readonly detail: string;
}

/** A bad row with the number in the log that it has or would have, by which the first is found. */
export interface Finding extends BadRow {
  readonly near: number;
}

/** All findings in the order of the log, the first of all first. */
export function inOrder(findings: readonly Finding[]): BadRow[] {
  const sorted = [...findings].sort((a, b) => a.near - b.near);
  const [first] = sorted;
  if (first?.toSeq === undefined) return sorted.map(plain);
  // Within a range of rows of which one was changed, a forged record is the better answer.
  const { toSeq } = first;
  const isWithin = (one: Finding): boolean =>
    one.epoch === first.epoch && one.stream === first.stream && one.seq >= first.seq && one.seq <= toSeq;
  const forged = sorted.find((one) => one.what === "forged" && isWithin(one));
  if (forged === undefined) return sorted.map(plain);
  const merged: Finding = { ...first, what: "forged", detail: `seq ${forged.seq}: ${forged.detail}` };
  return [merged, ...sorted.slice(1).filter((one) => one !== forged)].map(plain);
}

function plain({ near: _, ...bad }: Finding): BadRow {
  return bad;
}
