/** A limit of difference: a number, or a share of what there is. */
export interface Limit {
  readonly text: string;
  readonly amount: number;
  readonly isShare: boolean;
}

/** What may be limited, and of what its share is taken. */
export const limitedCounts = {
  difference: "decisions",
  more: "recorded actions",
  fewer: "recorded actions",
  denied: "recorded actions",
  permitted: "recorded actions",
} as const;
export type Limited = keyof typeof limitedCounts;
export type Limits = Readonly<Partial<Record<Limited, Limit>>>;

/** "20" or "1%"; undefined for what is neither. */
export function parseLimit(text: string): Limit | undefined {
  const found = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim());
  if (found === null) return undefined;
  const amount = Number(found[1]);
  const isShare = found[2] === "%";
  return isShare || Number.isInteger(amount) ? { text: text.trim(), amount, isShare } : undefined;
}

export interface JudgedLimit {
  readonly name: Limited;
  readonly limit: string;
  readonly count: number;
  readonly of: number;
  readonly passed: boolean;
}

/** Each limit against what came out. A share of nothing is passed by anything. */
export function judgeLimits(
  limits: Limits,
  counts: Readonly<Record<Limited, { readonly count: number; readonly of: number }>>,
): JudgedLimit[] {
  return (Object.keys(limitedCounts) as Limited[]).flatMap((name) => {
    const limit = limits[name];
    if (limit === undefined) return [];
    const { count, of } = counts[name];
    const most = limit.isShare ? (of * limit.amount) / 100 : limit.amount;
    return [{ name, limit: limit.text, count, of, passed: count <= most }];
  });
}
