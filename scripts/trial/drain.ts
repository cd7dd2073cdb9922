import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { callAsPerson, callDaemon } from "../../daemon/api/control-client.ts";
import type { FleetState } from "../../daemon/fleet/fleet-part.ts";
import type { Outbox } from "../../daemon/fleet/outbox.ts";
import { programPssBytes } from "../bench/processes.ts";
import { becomes, Claims, quantile, sleep } from "./claims.ts";
import { freePort, holdfast, type RunningDaemon, startDaemon, temporaryFolder } from "./daemon.ts";
import { seriesFolder } from "./feed.ts";
import { Centre } from "./fleet/centre.ts";
import { Line } from "./fleet/line.ts";
import type { Trial } from "./trial.ts";

const SERIES = "machine_temperature_system_failure.csv";
const READINGS_A_DAY = 288;
const DAYS = 30;
const DRAIN_MS = 900_000;
const SAFETY_EVERY_MS = 250;
const LINES: readonly (readonly [string, number])[] = [
  ["64 kbit/s", 8000],
  ["1 Mbit/s", 125_000],
];
/** The program's own first line says it; a daemon that is started through `node` does not read that line. */
const AS_INSTALLED = ["env", "NODE_OPTIONS=--max-semi-space-size=4"];
const MOST_WIRE_BYTES = 60;
const MOST_SAFETY_MS = 2000;
const MOST_PSS_MB = 180;

/**
 * The example plant without a network for `rounds` days, then a poor line: how long, how many bytes, how soon safety comes
 * through meanwhile, and how much memory. Its readings come as fast as they are taken; what it writes down is the same.
 */
export const trial: Trial = async ({ rounds = DAYS, say }) => {
  const claims = new Claims(say);
  const series = seriesFolder();
  if (series === undefined)
    return { figures: {}, failures: [`there is no ../shared/data/nab/${SERIES} beside the clone`] };
  for (const [name, bytesPerSecond] of LINES) await drain(series, rounds, name, bytesPerSecond, claims);
  return claims.result();
};

async function drain(
  series: string,
  days: number,
  name: string,
  bytesPerSecond: number,
  claims: Claims,
): Promise<void> {
  const folder = temporaryFolder("drain");
  const centre = new Centre(join(folder, "centre"), true);
  const line = new Line(0);
  const port = await freePort();
  await line.start();
  line.be({ kind: "refused" });
  const example = ["../../config/examples/machine-temperature/", "../../../config/examples/machine-temperature/"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path)) as string;
  cpSync(example, folder, { recursive: true });
  const text = readFileSync(join(folder, "holdfast.yaml"), "utf8").replace("port: 1883", `port: ${port}`);
  const fleet = {
    name: "north",
    brokers: [`mqtt://127.0.0.1:${line.port}`],
    firstWithinSeconds: 0,
    reconnectWithinSeconds: 5,
  };
  writeFileSync(join(folder, "holdfast.yaml"), `${text}\nfleet: ${JSON.stringify(fleet)}\n`);
  const data = join(folder, "data");
  const feeding = await startDaemon(join(folder, "holdfast.yaml"), data);
  const limit = ["--limit", String(days * READINGS_A_DAY)];
  holdfast([
    "feed",
    "--csv",
    join(series, SERIES),
    "--topic",
    "plant/machine-1/temperature",
    "--broker",
    `mqtt://127.0.0.1:${port}`,
    ...limit,
  ]);
  const waiting = async (): Promise<Outbox["streams"]> =>
    ((await callDaemon({ dataDirectory: data, verb: "outbox" })) as Outbox).streams;
  await becomes(async () => (await feeding.status()).passes.inFlight === 0, 60_000);
  // Thousands of readings a second are no month: what that did to the heap ends with this process.
  await feeding.stop();
  const daemon = await startDaemon(join(folder, "holdfast.yaml"), data, AS_INSTALLED);
  const before = (await waiting()).reduce((sum, one) => sum + one.records, 0);
  claims.figure(`${name}: records that wait after ${days} days`, before);
  claims.figure(`${name}: gateway's memory before, MB PSS`, Math.round(programPssBytes(daemon.pid) / 1e6));
  await centre.start();
  await centre.ready();
  line.to = centre.brokerPort;
  line.be({ kind: "slow", bytesPerSecond });
  const peak = await follow(daemon, data, name, line, claims, waiting);
  claims.figure(`${name}: gateway's memory at most, MB PSS`, Math.round(peak / 1e6));
  claims.holds(peak < MOST_PSS_MB * 1e6, `${name}: ${Math.round(peak / 1e6)} MB PSS, at most ${MOST_PSS_MB} wanted`);
  await daemon.stop();
  await line.stop();
  await centre.stop();
  await judge(centre, name, claims);
  rmSync(folder, { recursive: true, force: true });
}

/** Until nothing but what comes just now waits. Meanwhile somebody switches a tool off and off again: safety records. */
async function follow(
  daemon: RunningDaemon,
  data: string,
  name: string,
  line: Line,
  claims: Claims,
  waiting: () => Promise<Outbox["streams"]>,
): Promise<number> {
  const state = async (): Promise<FleetState> =>
    (await callDaemon({ dataDirectory: data, verb: "link" })) as FleetState;
  await becomes(async () => (await state()).uplink.condition === "sending", 60_000);
  const from = performance.now();
  const bytesBefore = line.bytesUp;
  let peak = 0;
  let records = 0;
  const decisions = async (): Promise<number> =>
    (await waiting())
      .filter((one) => one.name === "decisions" || one.name === "quiet")
      .reduce((sum, one) => sum + one.records, 0);
  records = await decisions();
  for (; (await decisions()) > 0; await sleep(SAFETY_EVERY_MS)) {
    if (performance.now() - from > DRAIN_MS) break;
    await callAsPerson({ dataDirectory: data, verb: "mode", parameters: { scope: "tool:tell", mode: "observe" } });
    peak = Math.max(peak, programPssBytes(daemon.pid));
  }
  const seconds = (performance.now() - from) / 1000;
  claims.holds((await decisions()) === 0, `${name}: it drained`);
  const bytes = line.bytesUp - bytesBefore;
  claims.figure(`${name}: seconds to drain`, Math.round(seconds));
  const { uplink } = await state();
  // 64 bytes are allowed for the header, the topic and TLS of each message.
  const each = ((uplink.sentBytes[1] ?? 0) + (uplink.sentBytes[2] ?? 0)) / records;
  claims.figure(`${name}: bytes up on the line, safety and all`, bytes);
  claims.figure(`${name}: bytes of a decision on the wire`, Number(each.toFixed(1)));
  claims.holds(
    each <= MOST_WIRE_BYTES,
    `${name}: ${each.toFixed(1)} bytes a decision, at most ${MOST_WIRE_BYTES} wanted`,
  );
  return peak;
}

async function judge(centre: Centre, name: string, claims: Claims): Promise<void> {
  const database = await centre.database();
  const rows = await database.query<{ ms: number }>(
    `SELECT extract(epoch FROM received_at) * 1000 - at_ms AS ms FROM record WHERE kind = 'mode' ORDER BY ms`,
  );
  const times = rows.map(({ ms }) => Number(ms)).sort((one, other) => one - other);
  claims.figure(`${name}: safety records meanwhile, ms to the fleet's disk (p50 / p99 / most)`, [
    ...[
      times.length,
      Math.round(quantile(times, 0.5)),
      Math.round(quantile(times, 0.99)),
      Math.round(times.at(-1) ?? 0),
    ],
  ]);
  claims.holds(
    quantile(times, 0.99) < MOST_SAFETY_MS,
    `${name}: safety p99 ${Math.round(quantile(times, 0.99))} ms, below ${MOST_SAFETY_MS} wanted`,
  );
  const [stored] = await database.query<{ decisions: number; twice: number }>(
    "SELECT count(*) AS decisions, count(*) - count(DISTINCT hash) AS twice FROM record WHERE kind = 'decision'",
  );
  claims.figure(`${name}: decisions stored, twice`, `${stored?.decisions}, ${stored?.twice}`);
  await database.close();
  await centre.stopDatabase();
}
