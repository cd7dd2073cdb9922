import type { Query } from "../../../fleet/database.ts";
import { RangeSet } from "../../../sync/range-set.ts";
import type { Extent } from "./extents.ts";

export interface Balance {
  readonly committed: number;
  readonly stored: number;
  readonly dropped: number;
  /** Only in a file that an older one replaced: a person did that, and nobody can send it. */
  readonly destroyed: number;
  /** Committed, and neither stored nor in the log nor dropped nor destroyed. */
  readonly lost: readonly string[];
  /** The gateway believes that the fleet has it, and the fleet does not, nor knows that it was dropped. */
  readonly forgotten: readonly string[];
  /** Stored with other bytes than the log has. */
  readonly changed: readonly string[];
  /** Stored, and never committed. */
  readonly invented: readonly string[];
}

/**
 * `committed − stored − inLog − dropped = ∅`: what a gateway ever had, as its own files showed it, against the fleet's
 * tables. Seqs of a stream have no holes, so what was committed is 1 to the highest that was ever seen.
 */
export async function balanceOf(
  query: Query,
  gateway: string,
  now: ReadonlyMap<string, Extent>,
  replaced: readonly ReadonlyMap<string, Extent>[],
): Promise<Balance> {
  const names = new Set([now, ...replaced].flatMap((one) => [...one.keys()]));
  const sum = { committed: 0, stored: 0, dropped: 0, destroyed: 0 };
  const [lost, changed, invented, forgotten]: string[][] = [[], [], [], []];
  for (const name of names) {
    const [epoch = "", stream] = name.split("/");
    const stored = await query.query<{ seq: number; hash: string }>(
      `SELECT seq, encode(r.hash, 'hex') AS hash FROM record r JOIN gateway g ON g.id = r.gateway
       WHERE g.name = $1 AND r.epoch = decode($2, 'hex') AND r.stream = $3`,
      [gateway, epoch, Number(stream)],
    );
    const gone = await query.query<{ from: number; to: number }>(
      `SELECT from_seq AS "from", to_seq AS "to" FROM drop_range d JOIN gateway g ON g.id = d.gateway
       WHERE g.name = $1 AND d.epoch = decode($2, 'hex') AND d.stream = $3`,
      [gateway, epoch, Number(stream)],
    );
    const inLog = now.get(name);
    const older = replaced.flatMap((one) => one.get(name) ?? []);
    const hi = Math.max(inLog?.hi ?? 0, ...older.map((one) => one.hi));
    const left = new RangeSet([[1, hi]]);
    sum.committed += hi;
    for (const { seq, hash } of stored) {
      if (seq > hi) invented?.push(`${gateway}/${name}/${seq}`);
      left.remove(seq, seq);
      const kept = inLog?.rows.get(seq) ?? older.find((one) => one.rows.has(seq))?.rows.get(seq);
      if (kept !== undefined && kept !== hash) changed?.push(`${gateway}/${name}/${seq}`);
    }
    sum.stored += stored.length;
    const before = left.size;
    const believed = new RangeSet(inLog?.acknowledged ?? []);
    for (const { seq } of stored) believed.remove(seq, seq);
    for (const { from, to } of gone) believed.remove(from, to);
    for (const [from, to] of believed.list()) forgotten?.push(`${gateway}/${name}/${from}-${to}`);
    for (const { from, to } of gone) left.remove(from, to);
    sum.dropped += before - left.size;
    for (const seq of inLog?.rows.keys() ?? []) left.remove(seq, seq);
    for (const [from, to] of [...left.list()])
      for (let seq = from; seq <= to; seq++) {
        if (!older.some((one) => one.rows.has(seq))) continue;
        sum.destroyed += 1;
        left.remove(seq, seq);
      }
    for (const [from, to] of left.list()) lost?.push(`${gateway}/${name}/${from}-${to}`);
  }
  return { ...sum, forgotten: forgotten ?? [], lost: lost ?? [], changed: changed ?? [], invented: invented ?? [] };
}
