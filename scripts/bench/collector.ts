import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import type { Database } from "../../fleet/database.ts";
import { openPglite } from "../../fleet/pglite.ts";
import { openPostgres } from "../../fleet/postgres.ts";
import { encodeBatch, recordHash } from "../../sync/batch.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { becomes } from "../trial/claims.ts";
import { temporaryFolder } from "../trial/daemon.ts";
import { Centre } from "../trial/fleet/centre.ts";
import { startPostgres } from "../trial/fleet/postgres.ts";

interface Options {
  readonly rounds: number;
  readonly records: number;
  readonly say: (line: string) => void;
}

const PER_BATCH = 200;
const ROWS_AT_ONCE = 4000;
const GATEWAYS = 8;
const UNDER_WAY = 8;
const WANTED_SHARE = 0.4;

type Kind = "PGlite" | "PostgreSQL";

/** Decisions of about the size of the example agent's, each with an id of its own. */
function bodies(count: number): string[] {
  return Array.from({ length: count }, (_, at) => {
    const hex = randomBytes(16).toString("hex");
    const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
    return JSON.stringify({
      ...{
        v: 1,
        kind: "decision",
        id,
        agent: "machine-temperature",
        key: `machine-${at % 64}`,
        eventTime: 1_392_823_500_000 + at,
      },
      ...{ receivedAt: 1_795_846_194_000 + at, decidedAt: 1_795_846_194_001 + at, generation: "aa2d9ba3503c3b8e" },
      model: { name: "machine-temperature", version: 1, digest: "653246112b0b40c0" },
      inputs: { temp_mean: 80 + Math.random() * 20, temp_std: Math.random() * 5 },
      ...{
        window: { coverage: 1, count: 288 },
        answer: { score: Math.random() },
        rules: [{ id: "unusual-day", why: "condition false" }],
      },
      ...{ batch: 57, latencyUs: [822, 117, 1], bootMs: 19_200_000 + at, clock: "unknown" },
    });
  });
}

/** The ceiling: the same rows by the same kind of statement into a table with the same key, and nothing else. */
async function bare(database: Database, rows: readonly string[]): Promise<number> {
  await database.execute("DROP TABLE IF EXISTS bare");
  await database.execute(
    "CREATE TABLE bare (gateway int, epoch bytea, stream smallint, seq bigint, hash bytea, body text, PRIMARY KEY (gateway, epoch, stream, seq))",
  );
  const hashes = rows.map((row) => recordHash(row).toString("hex"));
  const from = performance.now();
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const some = rows.slice(at, at + ROWS_AT_ONCE);
    await database.query(
      `INSERT INTO bare SELECT 1, '\\x90ab12cd34ef5678', 1, q, decode(h, 'hex'), b FROM unnest($1::bigint[], $2::text[], $3::text[]) AS r(q, h, b)`,
      [some.map((_, index) => at + index + 1), hashes.slice(at, at + ROWS_AT_ONCE), some],
    );
  }
  return rows.length / ((performance.now() - from) / 1000);
}

/** Through the broker: unpacked, checked, stored, acknowledged. Records a second from the first message to the last word. */
async function collected(centre: Centre, rows: readonly string[]): Promise<number> {
  const client = await connectAsync({ host: "127.0.0.1", port: centre.brokerPort, protocolVersion: 5 });
  const epoch = randomBytes(8).toString("hex");
  const session = randomBytes(8).toString("hex");
  const clock = { bootId: "b", bootMs: 1, wallMs: 2, trust: "synced" };
  const batches = Array.from({ length: rows.length / PER_BATCH }, (_, at) => {
    const gateway = `bench-${at % GATEWAYS}`;
    const lo = Math.floor(at / GATEWAYS) * PER_BATCH + 1;
    const header = {
      v: 1 as const,
      kind: "batch" as const,
      session,
      epoch,
      ordinal: 1,
      stream: 1,
      lo,
      hi: lo + PER_BATCH - 1,
      dropped: [],
      clock,
    };
    return { gateway, payload: encodeBatch(header, rows.slice(at * PER_BATCH, (at + 1) * PER_BATCH)) };
  });
  // As a gateway does: so many batches under way, until they are acknowledged.
  const lanes = Array.from({ length: GATEWAYS }, (_, at) => ({
    name: `bench-${at}`,
    payloads: batches.filter((one) => one.gateway === `bench-${at}`).map((one) => one.payload),
    ...{ sent: 0, whole: 0 },
  }));
  const pump = (lane: (typeof lanes)[number]): void => {
    for (; lane.sent < lane.payloads.length && lane.sent - lane.whole / PER_BATCH < UNDER_WAY; lane.sent++)
      client.publish(gatewayTopics("north", lane.name).up("decisions"), lane.payloads[lane.sent] as Buffer, { qos: 1 });
  };
  const missing = (): number => lanes.reduce((sum, lane) => sum + lane.payloads.length * PER_BATCH - lane.whole, 0);
  client.on("message", (_topic, payload) => {
    const ack = JSON.parse(payload.toString()) as { kind: string; gateway: string; contiguous: number; epoch: string };
    const lane = lanes.find((one) => one.name === ack.gateway);
    if (ack.kind !== "ack" || ack.epoch !== epoch || lane === undefined) return;
    lane.whole = Math.max(lane.whole, ack.contiguous);
    pump(lane);
  });
  await client.subscribeAsync("holdfast/v1/north/+/down/ack", { qos: 1 });
  const from = performance.now();
  for (const lane of lanes) pump(lane);
  if (!(await becomes(() => missing() === 0, 300_000))) throw new Error(`${missing()} records were not acknowledged`);
  const rate = rows.length / ((performance.now() - from) / 1000);
  await client.endAsync(true);
  return rate;
}

async function round(
  kind: Kind,
  rows: readonly string[],
  isBareFirst: boolean,
): Promise<{ bare: number; collected: number }> {
  const folder = temporaryFolder("bench-collector");
  const server = kind === "PostgreSQL" ? await startPostgres() : undefined;
  const ceiling = async (): Promise<number> => {
    const database =
      server === undefined ? await openPglite(join(folder, "bare")) : openPostgres(server.url, undefined);
    const rate = await bare(database, rows);
    await database.close();
    return rate;
  };
  const first = isBareFirst ? await ceiling() : undefined;
  const centre = new Centre(folder, kind === "PGlite");
  await centre.start();
  await centre.ready();
  const rate = await collected(centre, rows);
  await centre.stop();
  await centre.stopDatabase();
  const last = first ?? (await ceiling());
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
  return { bare: last, collected: rate };
}

/** Records a second through the broker into the database, beside a bare insert of the same rows. */
export async function benchCollector({ rounds, records, say }: Options): Promise<void> {
  const rows = bodies(records);
  say(
    `${records} records of ${Math.round(rows.reduce((sum, row) => sum + row.length, 0) / records)} bytes, ${PER_BATCH} a batch, ${GATEWAYS} gateways`,
  );
  for (const kind of ["PGlite", "PostgreSQL"] as const) {
    const shares: number[] = [];
    for (let at = 0; at < rounds; at++) {
      const { bare: most, collected: rate } = await round(kind, rows, at % 2 === 0);
      shares.push(rate / most);
      say(
        `${kind} round ${at + 1}: bare insert ${Math.round(most)}/s, collector ${Math.round(rate)}/s, ${Math.round((rate / most) * 100)} %`,
      );
    }
    const median = [...shares].sort((one, other) => one - other)[Math.floor(shares.length / 2)] ?? 0;
    say(
      `${kind}: ${Math.round(median * 100)} % of the bare insert (bar: at least ${WANTED_SHARE * 100} %) ${median >= WANTED_SHARE ? "met" : "MISSED"}`,
    );
  }
}
