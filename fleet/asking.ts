import { redact } from "../sync/redact.ts";
import type { Query } from "./database.ts";

export interface DecisionFilter {
  readonly gateway?: string | undefined;
  readonly agent?: string | undefined;
  readonly key?: string | undefined;
  /** A rule that fired. */
  readonly rule?: string | undefined;
  /** By when the fleet got them, in milliseconds. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly limit: number;
  /** The place of the last one that was seen: only what came after it, oldest first. */
  readonly after?: Place | undefined;
}

/** Where a record lies in the order in which the fleet got them. */
export interface Place {
  readonly receivedUs: number;
  readonly gateway: number;
  readonly epoch: string;
  readonly stream: number;
  readonly seq: number;
}

export interface FoundDecision {
  readonly place: Place;
  /** The decision's line without what is private, with `gateway`, `receivedAt`, `correctedTime` and its `timeQuality`. */
  readonly line: Readonly<Record<string, unknown>>;
}

interface DecisionRow {
  readonly name: string;
  readonly gateway: number;
  readonly epoch: string;
  readonly stream: number;
  readonly seq: number;
  readonly receivedUs: number;
  readonly correctedMs: number | null;
  readonly quality: string;
  readonly body: string;
}

const HOUR_MS = 3_600_000;
/** How far back is looked, further each time until enough is found: the index on times is coarse, and small. */
const WINDOWS_MS = [HOUR_MS, 24 * HOUR_MS, 30 * 24 * HOUR_MS, Number.MAX_SAFE_INTEGER];

/** The newest decisions that fit, oldest of them first; or those after a place. */
export async function decisions(query: Query, filter: DecisionFilter, nowMs: number): Promise<FoundDecision[]> {
  if (filter.after !== undefined) {
    const settledUs = await settled(query);
    return (await page(query, filter, filter.after.receivedUs / 1000, "ASC", settledUs)).map(found);
  }
  const until = filter.untilMs ?? nowMs + HOUR_MS;
  for (const windowMs of WINDOWS_MS) {
    const from = Math.max(filter.sinceMs ?? 0, until - windowMs, 0);
    const rows = await page(query, filter, from, "DESC");
    if (rows.length >= filter.limit || from <= (filter.sinceMs ?? 0)) return rows.reverse().map(found);
  }
  return [];
}

/**
 * Up to when nothing can come any more. A record has the time at which its transaction began: one that is still under
 * way in another collector would come before what was shown already, and never be seen.
 */
async function settled(query: Query): Promise<number> {
  const [row] = await query.query<{ us: number }>(
    `SELECT (extract(epoch FROM coalesce(
       (SELECT min(xact_start) FROM pg_stat_activity WHERE application_name = 'holdfast-fleet' AND pid <> pg_backend_pid()),
       clock_timestamp())) * 1000000)::bigint AS us`,
  );
  return row?.us ?? 0;
}

async function page(
  query: Query,
  filter: DecisionFilter,
  fromMs: number,
  order: "ASC" | "DESC",
  settledUs?: number,
): Promise<DecisionRow[]> {
  const values: unknown[] = [fromMs];
  const put = (value: unknown): string => `$${values.push(value)}`;
  const where = ["r.kind = 'decision'", "r.received_at >= to_timestamp($1 / 1000.0)"];
  const { gateway, agent, key, rule, untilMs, after } = filter;
  if (untilMs !== undefined) where.push(`r.received_at <= to_timestamp(${put(untilMs)} / 1000.0)`);
  if (gateway !== undefined) where.push(`g.name = ${put(gateway)}`);
  if (agent !== undefined) where.push(`r.agent = ${put(agent)}`);
  if (key !== undefined) where.push(`record_json(r.body) ->> 'key' = ${put(key)}`);
  if (rule !== undefined)
    where.push(`record_json(r.body) -> 'rules' @> ${put(JSON.stringify([{ id: rule, fired: true }]))}::jsonb`);
  if (after !== undefined)
    where.push(
      `(${MICROSECONDS}, r.gateway, r.epoch, r.stream, r.seq) > (${put(after.receivedUs)}::bigint, ${put(after.gateway)}::int, decode(${put(after.epoch)}, 'hex'), ${put(after.stream)}::smallint, ${put(after.seq)}::bigint)`,
    );
  if (settledUs !== undefined) where.push(`${MICROSECONDS} < ${put(settledUs)}::bigint`);
  const by = ["received_at", "gateway", "epoch", "stream", "seq"];
  const ordered = (of: string): string => by.map((column) => `${of}.${column} ${order}`).join(", ");
  return await query.query<DecisionRow>(
    `SELECT f.name, f.gateway, encode(f.epoch, 'hex') AS epoch, f.stream, f.seq, f."receivedUs", c.at_ms AS "correctedMs",
            c.quality, f.body
     FROM (SELECT g.name, r.gateway, r.epoch, r.stream, r.seq, r.received_at, r.boot_ms, r.at_ms, r.body, ${MICROSECONDS} AS "receivedUs"
           FROM record r JOIN gateway g ON g.id = r.gateway
           WHERE ${where.join(" AND ")} ORDER BY ${ordered("r")} LIMIT ${put(filter.limit)}) AS f
     CROSS JOIN LATERAL corrected_ms(f.gateway, f.epoch, f.boot_ms, f.at_ms) AS c ORDER BY ${ordered("f")}`,
    values,
  );
}

const MICROSECONDS = "(extract(epoch FROM r.received_at) * 1000000)::bigint";

function found({
  name,
  gateway,
  epoch,
  stream,
  seq,
  receivedUs,
  correctedMs,
  quality,
  body,
}: DecisionRow): FoundDecision {
  const correctedTime = correctedMs === null ? null : new Date(correctedMs).toISOString();
  const receivedAt = new Date(Math.floor(receivedUs / 1000)).toISOString();
  const added = { gateway: name, receivedAt, correctedTime, timeQuality: quality, epoch, stream, seq };
  return { place: { receivedUs, gateway, epoch, stream, seq }, line: { ...shownOf(body), ...added } };
}

/** What may be shown of a decision. */
function shownOf(text: string): Readonly<Record<string, unknown>> {
  // The gateway's own `receivedAt` is of the event, at the gateway.
  const { receivedAt: eventReceivedAt, ...rest } = JSON.parse(text) as Record<string, unknown>;
  return redact({ ...rest, ...(eventReceivedAt === undefined ? {} : { eventReceivedAt }) }).body;
}

export interface GatewayLine {
  readonly gateway: string;
  readonly lastSeenAt: string | null;
  readonly state: string | null;
  readonly backlog: number;
  /** Records that are known to exist, are not here, and of which no drop record tells. */
  readonly missing: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly clockOffsetMs: number | null;
  readonly bytesToday: number;
  readonly epochs: number;
  /** Starts from which two others went on, or two starts of one number: a copy, or an older state brought back. */
  readonly forks: number;
  readonly conflicts: number;
  readonly deadLetters: number;
  readonly refused: number;
  readonly software: string | null;
}

export async function gateways(query: Query): Promise<GatewayLine[]> {
  return await query.query<GatewayLine>(`
    SELECT gateway, to_char(last_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "lastSeenAt", state, backlog,
      missing, dropped, clock_offset_ms AS "clockOffsetMs", bytes_today AS "bytesToday", epochs, forks, conflicts,
      dead_letters AS "deadLetters", refused, software
    FROM gateways ORDER BY gateway`);
}

export interface GapLine {
  readonly gateway: string;
  readonly epoch: string;
  readonly stream: number;
  readonly from: number;
  readonly to: number;
}

export async function gaps(query: Query): Promise<GapLine[]> {
  return await query.query<GapLine>(
    'SELECT gateway, epoch, stream, from_seq AS "from", to_seq AS "to" FROM gaps ORDER BY gateway, epoch, stream, from_seq LIMIT 10000',
  );
}
