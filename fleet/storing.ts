import type { Refused } from "../sync/messages.ts";
import type { Database, Query } from "./database.ts";
import type { Incoming, IncomingRecord } from "./incoming.ts";
import { storeConflicts, storeDeadLetters } from "./kept-aside.ts";
import type { Covered } from "./multirange.ts";
import { type Place, placeName, placesOf, updatePositions } from "./positions.ts";
import { forksIn, storeTold } from "./told.ts";

/** What a collector may say of a stream of a start, once the transaction is over. */
export interface StoredPosition extends Covered {
  readonly gateway: string;
  readonly epoch: string;
  readonly stream: number;
  readonly refused: readonly Refused[];
}

export interface Stored {
  readonly positions: readonly StoredPosition[];
  /** Records that were not there before. */
  readonly inserted: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly dead: number;
  /** Gateways of which a start came that does not go on from all others: a copy, or an older state brought back. */
  readonly forked: readonly string[];
}

/** Stores batches of any gateways in one transaction. What it resolves with is on disk. */
export async function storeBatches(database: Database, batches: readonly Incoming[]): Promise<Stored> {
  const records = batches.flatMap((one) => one.records);
  const dead = batches.flatMap((one) => one.dead);
  const told = batches.flatMap((one) => one.told);
  const places = placesOf(batches, told);
  return await database.transaction(async (query) => {
    const ids = await gatewayIds(query, [...new Set(batches.map((one) => one.gateway))]);
    // First, since it locks them: two collectors that store of the same stream do so one after the other.
    const covered = await updatePositions(query, ids, places);
    const fresh = await insertRecords(query, ids, records);
    const conflicts = fresh === records.length ? [] : await conflictsIn(query, ids, records);
    await storeConflicts(query, ids, conflicts);
    await storeDeadLetters(query, ids, dead);
    await storeTold(query, ids, told);
    const forked = await forksIn(query, ids, told);
    return {
      positions: positionsSaid(places, covered, [
        ...dead,
        ...conflicts.map((one) => ({ ...one, refusal: "conflict" as const })),
      ]),
      inserted: fresh,
      duplicates: records.length - fresh - conflicts.length,
      conflicts: conflicts.length,
      dead: dead.length,
      forked,
    };
  });
}

type Refusal = Pick<IncomingRecord, "gateway" | "epoch" | "stream" | "seq"> & { readonly refusal: Refused["reason"] };

/** Of the streams that batches came of, not of those that records only tell of. */
function positionsSaid(
  places: readonly Place[],
  covered: ReadonlyMap<string, Covered>,
  refusals: readonly Refusal[],
): StoredPosition[] {
  const refused = new Map<string, Refused[]>();
  for (const one of refusals) {
    const { seq, refusal: reason } = one;
    const name = placeName(one);
    const list = refused.get(name) ?? [];
    list.push({ from: seq, to: seq, reason });
    refused.set(name, list);
  }
  return places.flatMap((one): StoredPosition[] => {
    if (!one.hasBatch) return [];
    const { gateway, epoch, stream } = one;
    const { contiguous, beyond } = covered.get(placeName(one)) ?? { contiguous: 0, beyond: [] };
    return [{ gateway, epoch, stream, contiguous, beyond, refused: refused.get(placeName(one)) ?? [] }];
  });
}

export async function gatewayIds(query: Query, names: readonly string[]): Promise<Map<string, number>> {
  const select = (): Promise<{ id: number; name: string }[]> =>
    query.query("SELECT id, name FROM gateway WHERE name = ANY ($1::text[])", [names]);
  let rows = await select();
  if (rows.length < names.length) {
    // In one order for all: two collectors that meet the same new gateways wait for each other, and never both.
    await query.query("INSERT INTO gateway (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", [
      [...names].sort(),
    ]);
    rows = await select();
  }
  return new Map(rows.map((row) => [row.name, row.id]));
}

/** How many of them were not there. */
async function insertRecords(
  query: Query,
  ids: ReadonlyMap<string, number>,
  records: readonly IncomingRecord[],
): Promise<number> {
  if (records.length === 0) return 0;
  const [row] = await query.query<{ count: number }>(
    `WITH fresh AS (
       INSERT INTO record (gateway, epoch, stream, seq, kind, agent, at_ms, boot_ms, hash, body)
       SELECT g, decode(e, 'hex'), s, q, k, a, t, b, decode(h, 'hex'), body
       FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::float8[], $9::text[], $10::text[])
         AS r(g, e, s, q, k, a, t, b, h, body)
       ON CONFLICT DO NOTHING RETURNING 1)
     SELECT count(*) AS count FROM fresh`,
    [
      records.map((one) => ids.get(one.gateway)),
      records.map((one) => one.epoch),
      records.map((one) => one.stream),
      records.map((one) => one.seq),
      records.map((one) => one.kind),
      records.map((one) => one.agent),
      records.map((one) => one.atMs),
      records.map((one) => one.bootMs),
      records.map((one) => one.hash.toString("hex")),
      records.map((one) => one.body),
    ],
  );
  return row?.count ?? 0;
}

/** Records whose place another one has: the same place with another hash is another record. */
async function conflictsIn(
  query: Query,
  ids: ReadonlyMap<string, number>,
  records: readonly IncomingRecord[],
): Promise<IncomingRecord[]> {
  const rows = await query.query<{ at: number }>(
    `SELECT i AS at FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[], $5::text[]) WITH ORDINALITY AS a(g, e, s, q, h, i)
     JOIN record r ON r.gateway = g AND r.epoch = decode(e, 'hex') AND r.stream = s AND r.seq = q WHERE r.hash <> decode(h, 'hex')`,
    [
      records.map((one) => ids.get(one.gateway)),
      records.map((one) => one.epoch),
      records.map((one) => one.stream),
      records.map((one) => one.seq),
      records.map((one) => one.hash.toString("hex")),
    ],
  );
  return rows.flatMap(({ at }) => records[at - 1] ?? []);
}
