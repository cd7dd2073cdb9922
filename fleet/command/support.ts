import type { Query } from "../database.ts";

export interface SupportFilter {
  readonly gateway: string;
}

/** The newest support bundle that a gateway has sent, as its record's text; null: none. */
export async function newestBundle(query: Query, { gateway }: SupportFilter): Promise<string | null> {
  const [row] = await query.query<{ body: string }>(
    `SELECT r.body FROM record r JOIN gateway g ON g.id = r.gateway
     WHERE g.name = $1 AND r.kind = 'support' ORDER BY r.at_ms DESC LIMIT 1`,
    [gateway],
  );
  return row?.body ?? null;
}
