import type { Database } from "./database.ts";
import { FleetError } from "./errors.ts";

/** Steps from nothing to today's tables; a step that a release had is never changed. */
const steps: readonly string[] = [
  `
  CREATE TABLE gateway (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, state text, session text, last_seen_at timestamptz,
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

  -- Not all that JSON may say can be looked into here, and a record of that kind must not spoil a question about others.
  CREATE FUNCTION record_json(body text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
      RETURN body::jsonb;
    EXCEPTION WHEN OTHERS THEN
      RETURN NULL;
    END
  $$;
  CREATE FUNCTION corrected_ms(of_gateway int, of_epoch bytea, of_boot_ms double precision, of_at_ms bigint,
                               OUT at_ms bigint, OUT quality text) LANGUAGE plpgsql STABLE AS $$
    DECLARE
      own int;
      after_ms bigint;
      before_ms bigint;
    BEGIN
      SELECT s.wall_ms + (of_boot_ms - s.boot_ms)::bigint INTO at_ms
        FROM epoch e JOIN clock_sync s ON s.gateway = e.gateway AND s.boot_id = e.boot_id
        WHERE e.gateway = of_gateway AND e.epoch = of_epoch AND of_boot_ms IS NOT NULL
        ORDER BY abs(s.boot_ms - of_boot_ms) LIMIT 1;
      IF FOUND THEN
        quality := 'corrected';
        RETURN;
      END IF;
      at_ms := of_at_ms;
      quality := 'raw';
      -- A boot that never heard the time lies after all that those before it heard, and before the next one began.
      SELECT e.ordinal INTO own FROM epoch e WHERE e.gateway = of_gateway AND e.epoch = of_epoch;
      SELECT max(s.wall_ms) FILTER (WHERE e.ordinal < own), min(s.wall_ms - s.boot_ms::bigint) FILTER (WHERE e.ordinal > own)
        INTO after_ms, before_ms
        FROM epoch e JOIN clock_sync s ON s.gateway = e.gateway AND s.boot_id = e.boot_id WHERE e.gateway = of_gateway;
      IF at_ms IS NOT NULL AND (after_ms IS NOT NULL OR before_ms IS NOT NULL) THEN
        at_ms := least(greatest(at_ms, after_ms), before_ms);
        quality := 'bounded';
      END IF;
    END
  $$;
  CREATE FUNCTION forks_of(of_gateway int) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (SELECT count(*) FROM (SELECT 1 FROM epoch WHERE gateway = of_gateway AND previous IS NOT NULL
                                  GROUP BY previous HAVING count(*) > 1) AS twins)
         + (SELECT count(*) FROM (SELECT 1 FROM epoch WHERE gateway = of_gateway GROUP BY ordinal HAVING count(*) > 1) AS same)
  $$;
  CREATE VIEW decisions AS
    SELECT g.name AS gateway, r.received_at, to_timestamp(c.at_ms / 1000.0) AS corrected_time, c.quality, r.agent,
           record_json(r.body) ->> 'key' AS key, record_json(r.body) AS decision, encode(r.epoch, 'hex') AS epoch, r.stream, r.seq
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
    SELECT g.name AS gateway, g.state, g.last_seen_at, g.backlog, g.clock_offset_ms, g.software,
           CASE WHEN g.day = (now() AT TIME ZONE 'UTC')::date THEN g.day_bytes ELSE 0 END AS bytes_today,
           (SELECT count(*) FROM epoch e WHERE e.gateway = g.id) AS epochs, forks_of(g.id) AS forks,
           (SELECT coalesce(jsonb_object_agg(reason, n), '{}') FROM
             (SELECT reason, sum(to_seq - from_seq + 1)::bigint AS n FROM drop_range d WHERE d.gateway = g.id GROUP BY reason) AS by_reason) AS dropped,
           (SELECT count(*) FROM conflict c WHERE c.gateway = g.id) AS conflicts,
           (SELECT count(*) FROM dead_letter l WHERE l.gateway = g.id) AS dead_letters, g.refused,
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
