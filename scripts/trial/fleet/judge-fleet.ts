import type { Claims } from "../claims.ts";
import { once } from "./compare.ts";
import type { GatewaySite } from "./gateway-site.ts";
import { readLogFile } from "./log-file.ts";
import { balanceOf } from "./oracle.ts";
import type { OwnFleet } from "./own-fleet.ts";

/** The fleet's tables against the gateway's file, row by row, and against what the sensor sent. */
export async function judgeFleet(site: GatewaySite, fleet: OwnFleet, prefix: string, claims: Claims): Promise<void> {
  const database = await fleet.database();
  try {
    const balance = await balanceOf(database, "plant-7", { now: readLogFile(site.data), replaced: [], clones: [] });
    for (const what of ["lost", "forgotten", "changed", "invented"] as const)
      claims.holds(
        balance[what].length === 0,
        `${prefix}${what}: ${balance[what].length}, as ${balance[what].slice(0, 5).join(", ")}`,
      );
    const { committed, stored, dropped } = balance;
    claims.figure(`${prefix}records committed, stored at the fleet, dropped`, [committed, stored, dropped].join(", "));
    claims.holds(dropped === 0, `${prefix}the gateway dropped ${dropped} records`);
    const [rows] = await database.query<{ rows: number; hashes: number }>(
      "SELECT count(*)::int AS rows, count(DISTINCT hash)::int AS hashes FROM record",
    );
    claims.holds(
      rows?.rows === rows?.hashes,
      `${prefix}${(rows?.rows ?? 0) - (rows?.hashes ?? 0)} records are stored twice`,
    );
    const events = await database.query<{ event: string; n: number }>(
      "SELECT record_json(body) ->> 'eventId' AS event, count(*)::int AS n FROM record WHERE kind = 'decision' GROUP BY 1",
    );
    once(
      `${prefix}decisions at the fleet`,
      site.sentMs.keys(),
      new Map(events.map(({ event, n }) => [event, n])),
      claims,
    );
    const [aside] = await database.query<{ n: number }>(
      "SELECT (SELECT count(*) FROM conflict)::int + (SELECT count(*) FROM dead_letter)::int + (SELECT count(*) FROM gaps)::int AS n",
    );
    claims.holds(aside?.n === 0, `${prefix}${aside?.n} conflicts, dead letters or gaps`);
  } finally {
    await database.close();
  }
}
