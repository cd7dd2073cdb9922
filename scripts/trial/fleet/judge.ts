import type { Query } from "../../../fleet/database.ts";
import type { Claims } from "../claims.ts";
import { NO_SPACE } from "./disk-faults.ts";
import { readLogFile } from "./log-file.ts";
import { balanceOf, type Counts } from "./oracle.ts";
import type { Site } from "./site.ts";

/** After so many rounds each kind of fault has done what it is for. */
const LONG_ROUNDS = 100;

/** Compares what the gateways' files and the fleet's tables have; once nothing runs but the database. */
export async function judge({ gateways }: Site, query: Query, claims: Claims): Promise<Counts> {
  const sum: Counts = { committed: 0, stored: 0, dropped: 0, inLog: 0, destroyed: 0 };
  for (const { plant, replaced } of gateways) {
    const balance = await balanceOf(query, plant.name, { now: readLogFile(plant.data), replaced });
    for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += balance[name];
    claims.figure(`${plant.name}: starts, restores`, `${plant.starts}, ${replaced.length}`);
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

interface Tried {
  readonly names: readonly string[];
  readonly taken: ReadonlyMap<string, number>;
  readonly rounds: number;
  readonly counts: Counts;
}

/** Whether the faults did what they are for: where they did not, the trial proves less than it says. */
export function judgeFaults(site: Site, { names, taken, rounds, counts }: Tried, claims: Claims): void {
  const { network, centre, onDisk } = site;
  const isSure = (name: string): boolean =>
    (taken.get(name) ?? 0) > 1 || (rounds >= LONG_ROUNDS && names.includes(name));
  const did = (name: string, what: string, times: number, sentence: string): void => {
    if (names.includes(name)) claims.figure(what, times);
    claims.holds(!isSure(name) || times > 0, sentence);
  };
  did("away", "records dropped before they were sent", counts.dropped, "retention: nothing was dropped unsent");
  did("lossy", "packets lost below TCP", network?.lost ?? 0, "loss: not one packet was lost");
  const full = onDisk?.plant.said("store is full") ?? 0;
  did("gatewayDiskFull", "times a gateway said that its store is full", full, "disk: no gateway noticed");
  const noSpace = centre.said(NO_SPACE);
  did(
    "databaseDiskFull",
    "times PostgreSQL told a collector that its disk is full",
    noSpace,
    "disk: no collector noticed",
  );
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
