import type { Database } from "./database.ts";
import { FleetError } from "./errors.ts";

/** Steps from nothing to today's tables; a step that a release had is never changed. */
const steps: readonly string[] = [
  `
  CREATE TABLE gateway (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, state text, last_seen_at timestamptz,
    clock_offset_ms double precision, software text, backlog bigint NOT NULL DEFAULT 0,
    day date, day_bytes bigint NOT NULL DEFAULT 0, refused bigint NOT NULL DEFAULT 0, last_refusal text);
  CREATE TABLE record (
    gateway int NOT NULL, epoch bytea NOT NULL, stream smallint NOT NULL, seq bigint NOT NULL,
    kind text NOT NULL, agent text, at_ms bigint, boot_ms double precision, received_at timestamptz NOT NULL DEFAULT now(),
    hash bytea NOT NULL, body text NOT NULL,
    PRIMARY KEY (gateway, epoch, stream, seq));
  CREATE INDEX record_received ON record USING brin (received_at);
  CREATE TABLE position (
    gateway int NOT NULL, epoch bytea NOT NULL, stream smallint NOT NULL,
    have int8multirange NOT NULL DEFAULT '{}', dropped int8multirange NOT NULL DEFAULT '{}', hi bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (gateway, epoch, stream));
  CREATE TABLE epoch (
    gateway int NOT NULL, epoch bytea NOT NULL, ordinal int NOT NULL, previous bytea, boot_id text NOT NULL,
    fingerprint text NOT NULL, started_ms bigint NOT NULL, reason text NOT NULL, PRIMARY KEY (gateway, epoch));
  CREATE TABLE drop_range (
    gateway int NOT NULL, epoch bytea NOT NULL, stream smallint NOT NULL, from_seq bigint NOT NULL, to_seq bigint NOT NULL,
    reason text NOT NULL, at_ms bigint NOT NULL, PRIMARY KEY (gateway, epoch, stream, from_seq, to_seq));
  CREATE TABLE conflict (
    gateway int NOT NULL, epoch bytea NOT NULL, stream smallint NOT NULL, seq bigint NOT NULL, hash bytea NOT NULL,
    body text NOT NULL, received_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (gateway, epoch, stream, seq, hash));
  CREATE TABLE dead_letter (
    gateway int NOT NULL, epoch bytea NOT NULL, stream smallint NOT NULL, seq bigint NOT NULL, hash bytea NOT NULL,
    line bytea NOT NULL, reason text NOT NULL, received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, epoch, stream, seq, hash));
  CREATE TABLE clock_sync (
    gateway int NOT NULL, boot_id text NOT NULL, boot_ms double precision NOT NULL, wall_ms bigint NOT NULL,
    source text NOT NULL, uncertainty_ms double precision NOT NULL, PRIMARY KEY (gateway, boot_id, boot_ms));

  CREATE FUNCTION corrected_ms(of_gateway int, of_epoch bytea, of_boot_ms double precision, of_at_ms bigint)
  RETURNS TABLE (at_ms bigint, quality text) LANGUAGE sql STABLE AS $$
    SELECT coalesce(sync.wall_ms + (of_boot_ms - sync.boot_ms)::bigint, of_at_ms),
           CASE WHEN sync.wall_ms IS NULL THEN 'raw' ELSE 'corrected' END
    FROM (VALUES (1)) AS one
    LEFT JOIN LATERAL (
      SELECT s.wall_ms, s.boot_ms FROM epoch e JOIN clock_sync s ON s.gateway = e.gateway AND s.boot_id = e.boot_id
      WHERE e.gateway = of_gateway AND e.epoch = of_epoch AND of_boot_ms IS NOT NULL
      ORDER BY abs(s.boot_ms - of_boot_ms) LIMIT 1) AS sync ON true
  $$;
  CREATE VIEW decisions AS
    SELECT g.name AS gateway, r.received_at, to_timestamp(c.at_ms / 1000.0) AS corrected_time, c.quality, r.agent,
           r.body::jsonb ->> 'key' AS key, r.body::jsonb AS decision, encode(r.epoch, 'hex') AS epoch, r.stream, r.seq
    FROM record r JOIN gateway g ON g.id = r.gateway
    CROSS JOIN LATERAL corrected_ms(r.gateway, r.epoch, r.boot_ms, r.at_ms) AS c WHERE r.kind = 'decision';
  CREATE VIEW gaps AS
    SELECT g.name AS gateway, encode(p.epoch, 'hex') AS epoch, p.stream, lower(missing) AS from_seq, upper(missing) - 1 AS to_seq
    FROM position p JOIN gateway g ON g.id = p.gateway
    CROSS JOIN LATERAL (
      -- Of the start that runs, what lies beyond the newest stored record is on its way rather than missing.
      SELECT CASE WHEN EXISTS (SELECT 1 FROM epoch e JOIN epoch later ON later.gateway = e.gateway AND later.ordinal > e.ordinal
                               WHERE e.gateway = p.gateway AND e.epoch = p.epoch)
             THEN p.hi ELSE coalesce(upper(p.have) - 1, 0) END AS hi) AS known
    CROSS JOIN LATERAL unnest(int8multirange(int8range(1, greatest(known.hi, 0) + 1)) - p.have - p.dropped) AS missing
    WHERE known.hi > 0;
  CREATE VIEW watermarks AS
    SELECT g.name AS gateway, encode(p.epoch, 'hex') AS epoch, p.stream,
           coalesce((SELECT upper(r) - 1 FROM unnest(p.have + p.dropped) AS r WHERE lower(r) = 1), 0) AS contiguous
    FROM position p JOIN gateway g ON g.id = p.gateway;
  CREATE VIEW gateways AS
    SELECT g.name AS gateway, g.state, g.last_seen_at, g.backlog, g.clock_offset_ms, g.software, g.day_bytes AS bytes_today,
           (SELECT count(*) FROM epoch e WHERE e.gateway = g.id) AS epochs,
           (SELECT coalesce(sum(to_seq - from_seq + 1), 0) FROM gaps WHERE gaps.gateway = g.name)::bigint AS missing
    FROM gateway g;
  `,
];

/** Brings the database to today's tables. Several collectors may start at once: one does it, the others wait. */
export async function migrate(database: Database): Promise<void> {
  await database.execute("CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL)");
  for (;;) {
    const isDone = await database.transaction(async (query) => {
      await query.query("LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE");
      const [row] = await query.query<{ version: number }>("SELECT max(version) AS version FROM schema_version");
      const version = row?.version ?? 0;
      if (version > steps.length) throw new FleetError("FLEET_DATABASE_NEWER", { version, newest: steps.length });
      const step = steps[version];
      if (step === undefined) return true;
      for (const statement of statementsOf(step)) await query.query(statement);
      await query.query("INSERT INTO schema_version VALUES ($1)", [version + 1]);
      return false;
    });
    if (isDone) return;
  }
}

/** Statements by themselves: a prepared query takes one. A function's body has semicolons of its own. */
export function statementsOf(sql: string): string[] {
  const statements: string[] = [];
  let text = "";
  let isQuoted = false;
  for (const part of sql.split(/(\$\$|;)/)) {
    if (part === "$$") isQuoted = !isQuoted;
    if (part === ";" && !isQuoted) {
      statements.push(text.trim());
      text = "";
    } else text += part;
  }
  return [...statements, text.trim()].filter((one) => one !== "");
}
