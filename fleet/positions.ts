import { RangeSet } from "../sync/range-set.ts";
import type { Query } from "./database.ts";
import { FleetError } from "./errors.ts";
import type { Incoming, Told } from "./incoming.ts";
import { type Covered, coveredBy, multirangeOf } from "./multirange.ts";
import type { StoredPosition } from "./storing.ts";

/** A stream of a start, and what is new about it. */
export interface Place {
  readonly gateway: string;
  readonly epoch: string;
  readonly stream: number;
  readonly have: RangeSet;
  readonly dropped: RangeSet;
  /** How far it is known to go. */
  hi: number;
  /** Batches came of it; of others, records only tell. */
  hasBatch: boolean;
}

type At = Pick<Place, "gateway" | "epoch" | "stream">;

/** A gateway fills its log from both ends: a few dozen holes. Thousands are made to be a burden. */
const MOST_HOLES = 5000;

export function placeName({ gateway, epoch, stream }: At): string {
  return `${gateway}/${epoch}/${stream}`;
}

/** Always in the same order, so that collectors lock them in the same order. */
export function placesOf(batches: readonly Incoming[], told: readonly Told[]): Place[] {
  const places = new Map<string, Place>();
  const placeOf = ({ gateway, epoch, stream }: At): Place => {
    const name = placeName({ gateway, epoch, stream });
    const known = places.get(name);
    if (known !== undefined) return known;
    const at = { gateway, epoch, stream };
    const made = { ...at, have: new RangeSet(), dropped: new RangeSet(), hi: 0, hasBatch: false };
    places.set(name, made);
    return made;
  };
  for (const { gateway, batch, records, dead } of batches) {
    const { epoch, stream } = batch.header;
    const place = placeOf({ gateway, epoch, stream });
    place.hasBatch = true;
    for (const { seq } of [...records, ...dead]) place.have.add(seq, seq);
    place.hi = Math.max(place.hi, batch.lines.at(-1)?.seq ?? 0);
  }
  for (const one of told) {
    if (one.kind === "drop") placeOf(one).dropped.add(one.from, one.to);
    else if (one.kind === "head") placeOf(one).hi = Math.max(placeOf(one).hi, one.seq);
  }
  return [...places].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, place]) => place);
}

/** Adds what is new, and locks the rows until the transaction is over. */
export async function updatePositions(
  query: Query,
  ids: ReadonlyMap<string, number>,
  places: readonly Place[],
): Promise<Map<string, Covered>> {
  const names = new Map([...ids].map(([name, id]) => [id, name]));
  const rows = await query.query<{ gateway: number; epoch: string; stream: number; have: string; dropped: string }>(
    `INSERT INTO position AS p (gateway, epoch, stream, have, dropped, hi)
     SELECT g, decode(e, 'hex'), s, h::int8multirange, d::int8multirange, most
     FROM unnest($1::int[], $2::text[], $3::int[], $4::text[], $5::text[], $6::bigint[]) AS a(g, e, s, h, d, most)
     ON CONFLICT (gateway, epoch, stream) DO UPDATE SET have = p.have + excluded.have,
       dropped = p.dropped + excluded.dropped, hi = greatest(p.hi, excluded.hi)
     RETURNING gateway, encode(epoch, 'hex') AS epoch, stream, have::text AS have, dropped::text AS dropped`,
    [
      places.map((one) => ids.get(one.gateway)),
      places.map((one) => one.epoch),
      places.map((one) => one.stream),
      places.map((one) => multirangeOf(one.have.list())),
      places.map((one) => multirangeOf(one.dropped.list())),
      places.map((one) => one.hi),
    ],
  );
  return new Map(
    rows.map(({ gateway: id, epoch, stream, have, dropped }) => {
      const gateway = names.get(id) ?? "";
      const covered = coveredBy(have, dropped);
      if (covered.beyond.length > MOST_HOLES) throw new FleetError("FLEET_SCATTERED", { gateway, epoch, stream });
      return [placeName({ gateway, epoch, stream }), covered];
    }),
  );
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
