import type { Hello, SeqRange, Span, StateDocument } from "../sync/messages.ts";
import { RangeSet } from "../sync/range-set.ts";
import type { Query } from "./database.ts";
import { type Incoming, storable } from "./incoming.ts";
import { rangesOf } from "./multirange.ts";

/** What one answer to a hello asks for at most. */
const MOST_STREAMS_ASKED = 16;
const MOST_RANGES_ASKED = 32;

/** The fleet's picture of its gateways: when each was heard, how it is, what it still has. */
export async function keepHello(query: Query, gateway: string, hello: Hello, nowMs: number): Promise<void> {
  const backlog = hello.waiting.reduce((sum, { lo, hi }) => sum + hi - lo + 1, 0);
  await query.query(
    `INSERT INTO gateway AS g (name, state, session, last_seen_at, software, backlog, clock_offset_ms)
     VALUES ($1, 'ready', $6, to_timestamp($2 / 1000.0), $3, $4, $5)
     ON CONFLICT (name) DO UPDATE SET state = 'ready', session = excluded.session, last_seen_at = excluded.last_seen_at,
       software = excluded.software, backlog = excluded.backlog, clock_offset_ms = excluded.clock_offset_ms`,
    [gateway, nowMs, storable(hello.software), backlog, hello.clock.wallMs - nowMs, hello.session],
  );
}

export async function keepState(query: Query, gateway: string, state: StateDocument, nowMs: number): Promise<void> {
  // A retained document is as old as its time, and a gateway that was only heard of by it was not seen now. The end of
  // an earlier connection, which a broker may tell late, says nothing of the one that there is.
  await query.query(
    `INSERT INTO gateway AS g (name, state, session, last_seen_at) VALUES ($1, $2, $4, to_timestamp($3 / 1000.0))
     ON CONFLICT (name) DO UPDATE SET state = excluded.state, session = excluded.session,
       last_seen_at = greatest(g.last_seen_at, excluded.last_seen_at)
     WHERE excluded.state = 'ready' OR g.session IS NULL OR g.session = excluded.session`,
    [gateway, state.state, Math.max(0, Math.min(nowMs, state.at)), state.session],
  );
}

/** Bytes of a day, by the collector's clock and UTC; and what the gateway has left, about. */
export async function keepTraffic(
  query: Query,
  batches: readonly (Incoming & { readonly bytes: number })[],
  nowMs: number,
): Promise<void> {
  const bytes = new Map<string, number>();
  for (const one of batches) bytes.set(one.gateway, (bytes.get(one.gateway) ?? 0) + one.bytes);
  const records = new Map<string, number>();
  for (const one of batches) records.set(one.gateway, (records.get(one.gateway) ?? 0) + one.records.length);
  await query.query(
    `UPDATE gateway SET last_seen_at = to_timestamp($4 / 1000.0), backlog = greatest(0, backlog - r),
       day_bytes = CASE WHEN day = d THEN day_bytes ELSE 0 END + b, day = d
     FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a(n, b, r), (SELECT (to_timestamp($4 / 1000.0) AT TIME ZONE 'UTC')::date AS d) AS today
     WHERE name = n`,
    [[...bytes.keys()], [...bytes.values()], [...records.values()], nowMs],
  );
}

export async function keepRefusal(query: Query, gateway: string, why: string): Promise<void> {
  await query.query(
    `INSERT INTO gateway AS g (name, refused, last_refusal) VALUES ($1, 1, $2)
     ON CONFLICT (name) DO UPDATE SET refused = g.refused + 1, last_refusal = excluded.last_refusal`,
    [gateway, storable(why).slice(0, 200)],
  );
}

export interface Missing {
  readonly epoch: string;
  readonly stream: number;
  readonly ranges: readonly SeqRange[];
}

/** What is known to exist and is neither here nor dropped nor announced as waiting. */
export async function missingOf(query: Query, gateway: string, waiting: readonly Span[]): Promise<Missing[]> {
  const rows = await query.query<{ epoch: string; stream: number; missing: string }>(
    `SELECT encode(epoch, 'hex') AS epoch, stream, missing::text AS missing FROM (
       SELECT p.epoch, p.stream, int8multirange(int8range(1, p.hi + 1)) - p.have - p.dropped AS missing
       FROM position p JOIN gateway g ON g.id = p.gateway WHERE g.name = $1 AND p.hi > 0) AS all_of_it
     WHERE NOT isempty(missing) LIMIT 200`,
    [gateway],
  );
  const found = rows.flatMap(({ epoch, stream, missing }): Missing[] => {
    const left = new RangeSet(rangesOf(missing));
    for (const span of waiting) if (span.epoch === epoch && span.stream === stream) left.remove(span.lo, span.hi);
    return left.isEmpty ? [] : [{ epoch, stream, ranges: left.list().slice(0, MOST_RANGES_ASKED) }];
  });
  return found.slice(0, MOST_STREAMS_ASKED);
}
