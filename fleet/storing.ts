import type { Refused, SeqRange } from "../sync/messages.ts";
import { RangeSet } from "../sync/range-set.ts";
import type { Database, Query } from "./database.ts";
import type { Incoming, IncomingRecord, Told } from "./incoming.ts";
import { type Covered, coveredBy, multirangeOf } from "./multirange.ts";
import { storeTold } from "./told.ts";

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
}

interface Place {
  readonly gateway: string;
  readonly epoch: string;
  readonly stream: number;
  readonly have: RangeSet;
  readonly refused: Refused[];
}

/** Stores batches of any gateways in one transaction. What it resolves with is on disk. */
export async function storeBatches(database: Database, batches: readonly Incoming[]): Promise<Stored> {
  return await database.transaction(async (query) => {
    const ids = await gatewayIds(query, [...new Set(batches.map((one) => one.gateway))]);
    const places = placesOf(batches);
    await lockPositions(query, ids, places);
    const records = batches.flatMap((one) => one.records);
    const fresh = await insertRecords(query, ids, records);
    const rest = fresh === records.length ? [] : await conflictsIn(query, ids, records);
    await storeConflicts(query, ids, rest, places);
    const dead = batches.flatMap((one) => one.dead);
    for (const one of dead) {
      await query.query(
        `INSERT INTO dead_letter (gateway, epoch, stream, seq, hash, line, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT DO NOTHING`,
        [ids.get(one.gateway), hex(one.epoch), one.stream, one.seq, one.hash, one.bytes, one.reason],
      );
      place(places, one).refused.push({ from: one.seq, to: one.seq, reason: "schema" });
    }
    const told = batches.flatMap((one) => one.told);
    await storeTold(query, ids, told);
    const positions = await updatePositions(query, ids, [...places.values()], told);
    const duplicates = records.length - fresh - rest.length;
    return { positions, inserted: fresh, duplicates, conflicts: rest.length, dead: dead.length };
  });
}

/** Of streams that a gateway asks about: what of them is stored. */
export async function positionsOf(
  query: Query,
  gateway: string,
  asked: readonly { readonly epoch: string; readonly stream: number }[],
): Promise<StoredPosition[]> {
  const rows = await query.query<{ epoch: string; stream: number; have: string; dropped: string }>(
    `SELECT encode(p.epoch, 'hex') AS epoch, p.stream, p.have::text AS have, p.dropped::text AS dropped
     FROM position p JOIN gateway g ON g.id = p.gateway
     JOIN unnest($2::text[], $3::int[]) AS a(epoch, stream) ON p.epoch = decode(a.epoch, 'hex') AND p.stream = a.stream
     WHERE g.name = $1`,
    [gateway, asked.map((one) => one.epoch), asked.map((one) => one.stream)],
  );
  const known = new Map(rows.map((row) => [`${row.epoch}/${row.stream}`, coveredBy(row.have, row.dropped)]));
  return asked.map(({ epoch, stream }) => {
    const covered = known.get(`${epoch}/${stream}`) ?? { contiguous: 0, beyond: [] };
    return { gateway, epoch, stream, refused: [], ...covered };
  });
}

export async function gatewayIds(query: Query, names: readonly string[]): Promise<Map<string, number>> {
  const select = (): Promise<{ id: number; name: string }[]> =>
    query.query("SELECT id, name FROM gateway WHERE name = ANY ($1::text[])", [names]);
  let rows = await select();
  if (rows.length < names.length) {
    await query.query("INSERT INTO gateway (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", [names]);
    rows = await select();
  }
  return new Map(rows.map((row) => [row.name, row.id]));
}

function placesOf(batches: readonly Incoming[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const { gateway, batch, records, dead } of batches) {
    const { epoch, stream } = batch.header;
    const one = place(places, { gateway, epoch, stream });
    for (const { seq } of [...records, ...dead]) one.have.add(seq, seq);
  }
  return places;
}

function place(places: Map<string, Place>, at: Pick<Place, "gateway" | "epoch" | "stream">): Place {
  const name = `${at.gateway}/${at.epoch}/${at.stream}`;
  const known = places.get(name);
  if (known !== undefined) return known;
  const { gateway, epoch, stream } = at;
  const made: Place = { gateway, epoch, stream, have: new RangeSet(), refused: [] };
  places.set(name, made);
  return made;
}

/** Always in the same order: two collectors that store of the same gateway wait for each other, and never both. */
async function lockPositions(
  query: Query,
  ids: ReadonlyMap<string, number>,
  places: ReadonlyMap<string, Place>,
): Promise<void> {
  const all = [...places.values()].sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  const columns = [all.map((one) => ids.get(one.gateway)), all.map((one) => one.epoch), all.map((one) => one.stream)];
  await query.query(
    `INSERT INTO position (gateway, epoch, stream)
     SELECT g, decode(e, 'hex'), s FROM unnest($1::int[], $2::text[], $3::int[]) AS a(g, e, s) ON CONFLICT DO NOTHING`,
    columns,
  );
  await query.query(
    `SELECT 1 FROM position p JOIN unnest($1::int[], $2::text[], $3::int[]) AS a(g, e, s)
     ON p.gateway = g AND p.epoch = decode(e, 'hex') AND p.stream = s ORDER BY p.gateway, p.epoch, p.stream FOR UPDATE OF p`,
    columns,
  );
}

function keyOf({ gateway, epoch, stream }: Pick<Place, "gateway" | "epoch" | "stream">): string {
  return `${gateway}/${epoch}/${stream}`;
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

async function storeConflicts(
  query: Query,
  ids: ReadonlyMap<string, number>,
  conflicts: readonly IncomingRecord[],
  places: Map<string, Place>,
): Promise<void> {
  for (const one of conflicts) {
    await query.query(
      `INSERT INTO conflict (gateway, epoch, stream, seq, hash, body) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
      [ids.get(one.gateway), hex(one.epoch), one.stream, one.seq, one.hash, one.body],
    );
    place(places, one).refused.push({ from: one.seq, to: one.seq, reason: "conflict" });
  }
}

async function updatePositions(
  query: Query,
  ids: ReadonlyMap<string, number>,
  places: readonly Place[],
  told: readonly Told[],
): Promise<StoredPosition[]> {
  const dropped = told.filter((one) => one.kind === "drop");
  const heads = told.filter((one) => one.kind === "head");
  // Streams that these records tell of have a row of their own, though nothing of them may have come.
  const others = [...dropped, ...heads].map(({ gateway, epoch, stream }) => ({ gateway, epoch, stream }));
  const all = new Map([...others, ...places].map((one) => [keyOf(one), one]));
  const positions: StoredPosition[] = [];
  for (const [name, one] of [...all].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const mine = places.find((other) => keyOf(other) === name);
    const gone = dropped.filter((drop) => keyOf(drop) === name).map(({ from, to }): SeqRange => [from, to]);
    const hi = Math.max(
      0,
      mine?.have.list().at(-1)?.[1] ?? 0,
      ...heads.filter((head) => keyOf(head) === name).map((head) => head.seq),
    );
    const [row] = await query.query<{ have: string; dropped: string }>(
      `INSERT INTO position AS p (gateway, epoch, stream, have, dropped, hi)
       VALUES ($1, $2, $3, $4::int8multirange, $5::int8multirange, $6)
       ON CONFLICT (gateway, epoch, stream) DO UPDATE SET have = p.have + excluded.have,
         dropped = p.dropped + excluded.dropped, hi = greatest(p.hi, excluded.hi)
       RETURNING have::text AS have, dropped::text AS dropped`,
      [
        ids.get(one.gateway),
        hex(one.epoch),
        one.stream,
        multirangeOf(mine?.have.list() ?? []),
        multirangeOf(new RangeSet(gone).list()),
        hi,
      ],
    );
    if (mine !== undefined)
      positions.push({
        gateway: one.gateway,
        epoch: one.epoch,
        stream: one.stream,
        refused: mine.refused,
        ...coveredBy(row?.have ?? "{}", row?.dropped ?? "{}"),
      });
  }
  return positions;
}

function hex(epoch: string): Buffer {
  return Buffer.from(epoch, "hex");
}
