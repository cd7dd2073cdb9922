import type { Query } from "./database.ts";
import type { Told } from "./incoming.ts";

type Ids = ReadonlyMap<string, number>;
type Of<K extends Told["kind"]> = Extract<Told, { readonly kind: K }>;

/** Keeps what records tell of others: starts, drops, clocks. What they tell of positions goes with those. */
export async function storeTold(query: Query, ids: Ids, told: readonly Told[]): Promise<void> {
  await storeStarts(query, ids, ofKind(told, "epochStart"));
  await storeDrops(query, ids, ofKind(told, "drop"));
  await storeClocks(query, ids, ofKind(told, "clockSync"));
}

/** Gateways with a new start that has the number of another one, or goes on from where another one went on. */
export async function forksIn(query: Query, ids: Ids, told: readonly Told[]): Promise<string[]> {
  const starts = ofKind(told, "epochStart");
  if (starts.length === 0) return [];
  const rows = await query.query<{ name: string }>(
    `SELECT DISTINCT g.name FROM unnest($1::int[], $2::text[]) AS a(g, e)
     JOIN epoch mine ON mine.gateway = a.g AND mine.epoch = decode(a.e, 'hex')
     JOIN epoch other ON other.gateway = mine.gateway AND other.epoch <> mine.epoch
       AND (other.ordinal = mine.ordinal OR other.previous = mine.previous)
     JOIN gateway g ON g.id = mine.gateway ORDER BY g.name`,
    [starts.map((one) => ids.get(one.gateway)), starts.map((one) => one.epoch)],
  );
  return rows.map(({ name }) => name);
}

function ofKind<K extends Told["kind"]>(told: readonly Told[], kind: K): Of<K>[] {
  return told.filter((one): one is Of<K> => one.kind === kind);
}

async function storeStarts(query: Query, ids: Ids, starts: readonly Of<"epochStart">[]): Promise<void> {
  if (starts.length === 0) return;
  await query.query(
    `INSERT INTO epoch (gateway, epoch, ordinal, previous, boot_id, fingerprint, started_ms, reason)
     SELECT g, decode(e, 'hex'), o, decode(p, 'hex'), b, f, t, r
     FROM unnest($1::int[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[])
       AS a(g, e, o, p, b, f, t, r) ON CONFLICT DO NOTHING`,
    [
      starts.map((one) => ids.get(one.gateway)),
      starts.map((one) => one.epoch),
      starts.map((one) => one.ordinal),
      starts.map((one) => one.previous),
      starts.map((one) => one.bootId),
      starts.map((one) => one.fingerprint),
      starts.map((one) => one.startedMs),
      starts.map((one) => one.reason),
    ],
  );
}

async function storeDrops(query: Query, ids: Ids, drops: readonly Of<"drop">[]): Promise<void> {
  if (drops.length === 0) return;
  await query.query(
    `INSERT INTO drop_range (gateway, epoch, stream, from_seq, to_seq, reason, at_ms)
     SELECT g, decode(e, 'hex'), s, a, b, r, t
     FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[]) AS x(g, e, s, a, b, r, t)
     ON CONFLICT DO NOTHING`,
    [
      drops.map((one) => ids.get(one.gateway)),
      drops.map((one) => one.epoch),
      drops.map((one) => one.stream),
      drops.map((one) => one.from),
      drops.map((one) => one.to),
      drops.map((one) => one.reason),
      drops.map((one) => one.atMs),
    ],
  );
}

async function storeClocks(query: Query, ids: Ids, clocks: readonly Of<"clockSync">[]): Promise<void> {
  if (clocks.length === 0) return;
  await query.query(
    `INSERT INTO clock_sync (gateway, boot_id, boot_ms, wall_ms, source, uncertainty_ms)
     SELECT g, b, m, w, s, u
     FROM unnest($1::int[], $2::text[], $3::float8[], $4::bigint[], $5::text[], $6::float8[]) AS a(g, b, m, w, s, u)
     ON CONFLICT DO NOTHING`,
    [
      clocks.map((one) => ids.get(one.gateway)),
      clocks.map((one) => one.bootId),
      clocks.map((one) => one.bootMs),
      clocks.map((one) => one.wallMs),
      clocks.map((one) => one.source),
      clocks.map((one) => one.uncertaintyMs),
    ],
  );
}
