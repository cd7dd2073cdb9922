import type { Query } from "../../../fleet/database.ts";
import type { Claims } from "../claims.ts";
import { NO_SPACE, PANIC } from "./disk-faults.ts";
import { epochOf, readLogFile } from "./log-file.ts";
import { balanceOf, type Counts } from "./oracle.ts";
import type { Site } from "./site.ts";

/** After so many rounds each kind of fault has done what it is for. */
const LONG_ROUNDS = 100;

/** Compares what the gateways' files and the fleet's tables have; once nothing runs but the database. */
export async function judge({ gateways }: Site, query: Query, claims: Claims): Promise<Counts> {
  const sum: Counts = {
    ...{ committed: 0, stored: 0, dropped: 0, inLog: 0, destroyed: 0 },
    ...{ shadowed: 0, ofClones: 0, ofClonesStored: 0 },
  };
  for (const { plant, replaced, clones } of gateways) {
    const balance = await balanceOf(query, plant.name, { now: readLogFile(plant.data), replaced, clones });
    for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += balance[name];
    claims.figure(`${plant.name}: starts, restores, copies`, `${plant.starts}, ${replaced.length}, ${clones.length}`);
    for (const what of ["lost", "forgotten", "changed", "invented"] as const)
      claims.holds(
        balance[what].length === 0,
        `${what}: ${balance[what].length}, as ${balance[what].slice(0, 5).join(", ")}`,
      );
  }
  for (const [name, n] of Object.entries(sum)) claims.figure(`records ${name}`, n);
  await judgeTables(query, claims);
  return sum;
}

/** So many of a kind do what they are for, however they fall among the others. */
const sureAfter: Readonly<Record<string, number>> = {
  ...{ away: 4, lossy: 3, gatewayDiskFull: 2, databaseDiskFull: 3, wrongClock: 6, cloned: 2 },
};

interface Tried {
  /** Copies whose start is with the fleet. */
  readonly copies: number;
  /** Records whose own time is outside of the trial. */
  readonly mistimed: number;
  readonly names: readonly string[];
  readonly taken: ReadonlyMap<string, number>;
  readonly rounds: number;
  readonly counts: Counts;
}

/** Whether the faults did what they are for: where they did not, the trial proves less than it says. */
export function judgeFaults(
  site: Site,
  { names, taken, rounds, counts, mistimed, copies }: Tried,
  claims: Claims,
): void {
  const { network, centre, onDisk } = site;
  const isSure = (name: string): boolean =>
    (taken.get(name) ?? 0) >= (sureAfter[name] ?? 1) || (rounds >= LONG_ROUNDS && names.includes(name));
  const did = (name: string, what: string, times: number, sentence: string): void => {
    if (names.includes(name)) claims.figure(what, times);
    claims.holds(!isSure(name) || times > 0, sentence);
  };
  did("away", "records dropped before they were sent", counts.dropped, "retention: nothing was dropped unsent");
  did("lossy", "packets lost below TCP", network?.lost ?? 0, "loss: not one packet was lost");
  const full = onDisk?.plant.said("store is full") ?? 0;
  did("gatewayDiskFull", "times a gateway said that its store is full", full, "disk: no gateway noticed");
  did("wrongClock", "records of a wrong clock", mistimed, "clock: none was ever wrong");
  did("cloned", "copies that the fleet heard of", copies, "fork: the fleet heard of no copy");
  did(
    "cloned",
    "times a collector told of two starts",
    centre.said("two starts of a gateway"),
    "fork: no collector told",
  );
  if (names.includes("databaseDiskFull")) claims.figure("times PostgreSQL ended by PANIC", centre.databaseSaid(PANIC));
  const noSpace = centre.said(NO_SPACE);
  did(
    "databaseDiskFull",
    "times PostgreSQL told a collector that its disk is full",
    noSpace,
    "disk: no collector noticed",
  );
}

/** Of copies whose start is with the fleet: whether the fleet tells that two go on from the same start. */
export async function judgeForks({ gateways }: Site, query: Query, claims: Claims): Promise<number> {
  let heard = 0;
  for (const { plant, clones } of gateways)
    for (const epoch of new Set(clones.flatMap(({ streams }) => [...streams.keys()].map(epochOf)))) {
      const [row] = await query.query<{ told: boolean; forks: number }>(
        `SELECT v.forks, EXISTS (SELECT 1 FROM epoch other WHERE other.gateway = mine.gateway AND other.epoch <> mine.epoch
           AND other.previous = mine.previous) AS told
         FROM epoch mine JOIN gateway g ON g.id = mine.gateway JOIN gateways v ON v.gateway = g.name
         WHERE g.name = $1 AND mine.epoch = decode($2, 'hex')`,
        [plant.name, epoch],
      );
      if (row === undefined) continue;
      heard += 1;
      claims.holds(row.told && row.forks > 0, `fork: nobody tells of the copy ${plant.name}/${epoch}`);
    }
  return heard;
}

/** A wrong clock is off by a day at least; what the trial does to lines makes no minute of it. */
const TOLERANCE_MS = 60_000;
const SAMPLE = 2000;

/** Of records whose own time is outside of the trial, and of others: where the fleet's correction puts them. */
export async function judgeTimes(
  query: Query,
  [fromMs, toMs]: readonly [number, number],
  claims: Claims,
): Promise<number> {
  const [earliest, latest] = [fromMs - TOLERANCE_MS, toMs + TOLERANCE_MS];
  const [wrong] = await query.query<{ n: number }>(
    "SELECT count(*) AS n FROM record WHERE at_ms NOT BETWEEN $1 AND $2",
    [earliest, latest],
  );
  for (const which of ["NOT BETWEEN", "BETWEEN"]) {
    const [sample] = await query.query<{ seen: number; off: number; example: string | null }>(
      `SELECT count(*) AS seen, count(*) FILTER (WHERE is_off) AS off, min(place) FILTER (WHERE is_off) AS example FROM (
         SELECT c.quality <> 'corrected' OR c.at_ms NOT BETWEEN $1 AND $2 AS is_off,
           c.quality || ' ' || c.at_ms || ' ' || encode(r.epoch, 'hex') || '/' || r.stream || '/' || r.seq AS place
         FROM (SELECT * FROM record WHERE boot_ms IS NOT NULL AND at_ms ${which} $1 AND $2 ORDER BY hash LIMIT ${SAMPLE}) AS r
         CROSS JOIN LATERAL corrected_ms(r.gateway, r.epoch, r.boot_ms, r.at_ms) AS c) AS looked_at`,
      [earliest, latest],
    );
    const { seen = 0, off = 0, example = null } = sample ?? {};
    claims.figure(
      `corrected times looked at, own time ${which === "BETWEEN" ? "inside" : "outside"} of the trial`,
      seen,
    );
    claims.holds(off === 0, `clock: ${off} of ${seen} corrected times are not of the trial, as ${example}`);
  }
  return wrong?.n ?? 0;
}

async function judgeTables(query: Query, claims: Claims): Promise<void> {
  const [unique] = await query.query<{ rows: number; bodies: number }>(
    "SELECT count(*) AS rows, count(DISTINCT hash) AS bodies FROM record",
  );
  claims.figure("stored rows, different bodies among them", `${unique?.rows}, ${unique?.bodies}`);
  claims.holds(unique?.rows === unique?.bodies, `twice: ${(unique?.rows ?? 0) - (unique?.bodies ?? 0)} records`);
  const [aside] = await query.query<{ conflicts: number; dead: number; safety: number }>(
    `SELECT (SELECT count(*) FROM conflict) AS conflicts, (SELECT count(*) FROM dead_letter) AS dead,
       (SELECT count(*) FROM drop_range WHERE stream = 0) AS safety`,
  );
  claims.figure("conflicts, dead letters", `${aside?.conflicts}, ${aside?.dead}`);
  claims.holds(aside?.conflicts === 0 && aside.dead === 0, "nothing was put aside");
  claims.holds(aside?.safety === 0, `safety: ${aside?.safety} drops of the stream that is never dropped`);
  const early = await query.query<{ place: string }>(
    `SELECT w.gateway || '/' || w.epoch || '/' || w.stream AS place FROM watermarks w JOIN gateway g ON g.name = w.gateway
     CROSS JOIN LATERAL (
       SELECT coalesce(range_agg(r), '{}') AS there FROM (
         SELECT int8range(seq, seq + 1) AS r FROM record
           WHERE gateway = g.id AND epoch = decode(w.epoch, 'hex') AND stream = w.stream
         UNION ALL SELECT int8range(from_seq, to_seq + 1) FROM drop_range
           WHERE gateway = g.id AND epoch = decode(w.epoch, 'hex') AND stream = w.stream) AS all_of_it) AS known
     WHERE w.contiguous > 0 AND NOT known.there @> int8range(1, w.contiguous + 1)`,
  );
  claims.holds(
    early.length === 0,
    `watermark: ${early.length} streams have holes below it, as ${early[0]?.place ?? "none"}`,
  );
}
