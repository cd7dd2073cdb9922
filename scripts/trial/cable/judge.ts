import { eachRecord } from "../acted.ts";
import { type Claims, quantile, spread } from "../claims.ts";
import { holdfast } from "../daemon.ts";
import { extentsIn } from "../fleet/extents.ts";
import { balanceOf } from "../fleet/oracle.ts";
import type { FarSide } from "./far-side.ts";
import type { NearSide } from "./near-side.ts";
import type { Phases } from "./phases.ts";
import type { Probe } from "./probe.ts";

/** With the cable out the p99 may be so many times that with the cable in, */
const MOST_RATIO = 1.5;
/** and so many milliseconds: of a few, one is no difference that anybody notices. */
const ALLOWANCE_MS = 5;
/** A command is started so seldom that one of a hundred is none; most of what it takes is the start of a process. */
const COMMAND = { share: 0.5, name: "p50", allowanceMs: 100 };
const USUAL = { share: 0.99, name: "p99", allowanceMs: ALLOWANCE_MS };

interface Timed {
  readonly atMs: number;
  readonly tookMs: number;
}

/** What the gateway's own log, the plant and whoever asked saw: all of it once, and no later with the cable out. */
export function judgeNear(near: NearSide, phases: Phases, probe: Probe, claims: Claims): void {
  const decided = decisions(near, claims);
  compare("a pass, from the event to the decision", decided.passes, phases, claims);
  compare("from the sensor to the decision", decided.fromSensor, phases, claims);
  compare("from the sensor to the plant", commands(near, claims), phases, claims);
  compare("an action, from its proposal to its end", outcomes(near, decided.eventOf, claims), phases, claims);
  const asked = (what: string): Timed[] => probe.asked.filter((one) => one.what === what);
  compare("status, over the socket", asked("socket"), phases, claims);
  compare("holdfast status, the command", asked("command"), phases, claims, COMMAND);
  claims.holds(probe.failed.length === 0, `${probe.failed.length} questions failed, as ${probe.failed[0]}`);
  const verified = JSON.parse(holdfast(["audit", "verify", "--data", near.data, "--json"])) as { ok: boolean };
  claims.holds(verified.ok, "the gateway's chain does not verify");
}

function compare(what: string, all: readonly Timed[], phases: Phases, claims: Claims, by = USUAL): void {
  const took: Record<string, number[]> = { in: [], out: [], back: [], other: [] };
  for (const { atMs, tookMs } of all) took[phases.at(atMs).phase]?.push(tookMs);
  const { in: plugged = [], out = [], back = [] } = took;
  const at = (values: readonly number[]): number =>
    quantile(
      [...values].sort((a, b) => a - b),
      by.share,
    );
  const [withMs, withoutMs] = [at(plugged), at(out)].map((ms) => Math.round(ms * 10) / 10) as [number, number];
  claims.figure(`${what}, ms: cable in, out, back`, [plugged, out, back].map((values) => told(values)).join("; "));
  claims.figure(`${what}: ${by.name} out / in`, Math.round((withoutMs / withMs) * 100) / 100);
  claims.holds(
    withoutMs <= withMs * MOST_RATIO + by.allowanceMs,
    `${what}: ${by.name} ${withoutMs} ms with the cable out, ${withMs} ms with it in`,
  );
}

function told(values: readonly number[]): string {
  const { p50, p99, count } = spread(values);
  return `${p50} / ${p99} (${count})`;
}

interface Decided {
  readonly passes: readonly Timed[];
  readonly fromSensor: readonly Timed[];
  /** The event that each decision was about. */
  readonly eventOf: ReadonlyMap<string, string>;
}

function decisions({ data, sentMs }: NearSide, claims: Claims): Decided {
  const [passes, fromSensor]: [Timed[], Timed[]] = [[], []];
  const eventOf = new Map<string, string>();
  const seen = new Map<string, number>();
  let unanswered = 0;
  for (const body of eachRecord(data, ["decision"])) {
    const { id, eventId, decidedAt, latencyUs, source } = body as unknown as {
      id: string;
      eventId: string;
      decidedAt: number;
      latencyUs: [number, number, number];
      source?: string;
    };
    seen.set(eventId, (seen.get(eventId) ?? 0) + 1);
    if (source === "fallback") unanswered += 1;
    const atMs = sentMs.get(eventId);
    if (atMs === undefined) continue;
    eventOf.set(id, eventId);
    passes.push({ atMs, tookMs: latencyUs.reduce((sum, us) => sum + us, 0) / 1000 });
    fromSensor.push({ atMs, tookMs: decidedAt - Math.floor(atMs) });
  }
  once("decisions", sentMs.keys(), seen, claims);
  claims.figure("decisions by fallback: no answer in time", unanswered);
  return { passes, fromSensor, eventOf };
}

function commands({ observer, sentMs }: NearSide, claims: Claims): Timed[] {
  const seen = new Map<string, number>();
  const took: Timed[] = [];
  for (const { payload, atMs } of observer.effects) {
    const { token } = JSON.parse(payload) as { token: string };
    seen.set(token, (seen.get(token) ?? 0) + 1);
    const sentAtMs = sentMs.get(token);
    if (sentAtMs !== undefined) took.push({ atMs: sentAtMs, tookMs: atMs - sentAtMs });
  }
  once("commands that reached the plant", acting(sentMs), seen, claims);
  return took;
}

function outcomes({ data, sentMs }: NearSide, eventOf: ReadonlyMap<string, string>, claims: Claims): Timed[] {
  const decisionOf = new Map<string, string>();
  const ends = new Map<string, number>();
  const states = new Map<string, number>();
  const took: Timed[] = [];
  for (const body of eachRecord(data, ["intent", "outcome"])) {
    if (body["kind"] === "intent") decisionOf.set(String(body["id"]), String(body["decision"]));
    if (body["kind"] !== "outcome" || body["final"] !== true) continue;
    const event = eventOf.get(decisionOf.get(String(body["intent"])) ?? "") ?? "";
    const state = String(body["state"]);
    states.set(state, (states.get(state) ?? 0) + 1);
    ends.set(event, (ends.get(event) ?? 0) + 1);
    const atMs = sentMs.get(event);
    if (atMs !== undefined) took.push({ atMs, tookMs: Number(body["latencyMs"]) });
  }
  once("actions that ended", acting(sentMs), ends, claims);
  claims.figure("how actions ended", Object.fromEntries(states));
  return took;
}

function* acting(sentMs: ReadonlyMap<string, number>): Generator<string> {
  for (const id of sentMs.keys()) if (id.startsWith("a")) yield id;
}

/** Each of `expected` once, and nothing else. */
function once(what: string, expected: Iterable<string>, seen: ReadonlyMap<string, number>, claims: Claims): void {
  let [count, missing] = [0, 0];
  for (const id of expected) {
    count += 1;
    if (!seen.has(id)) missing += 1;
  }
  const all = [...seen.values()].reduce((sum, n) => sum + n, 0);
  const twice = all - seen.size;
  const foreign = seen.size - (count - missing);
  claims.figure(
    `${what}: expected, seen, missing, twice, of nothing`,
    [count, all, missing, twice, foreign].join(", "),
  );
  claims.holds(
    count > 0 && missing + twice + foreign === 0,
    `${what}: ${missing} missing, ${twice} twice, ${foreign} of nothing`,
  );
}

/** The fleet's tables against the gateway's file, row by row, and against what the sensor sent. */
export async function judgeFleet(near: NearSide, far: FarSide, claims: Claims): Promise<void> {
  const database = await far.database();
  try {
    const balance = await balanceOf(database, "plant-7", extentsIn(near.data), []);
    for (const what of ["lost", "forgotten", "changed", "invented"] as const)
      claims.holds(
        balance[what].length === 0,
        `${what}: ${balance[what].length}, as ${balance[what].slice(0, 5).join(", ")}`,
      );
    const { committed, stored, dropped } = balance;
    claims.figure("records committed, stored at the fleet, dropped", [committed, stored, dropped].join(", "));
    const [rows] = await database.query<{ rows: number; hashes: number }>(
      "SELECT count(*)::int AS rows, count(DISTINCT hash)::int AS hashes FROM record",
    );
    claims.holds(rows?.rows === rows?.hashes, `${(rows?.rows ?? 0) - (rows?.hashes ?? 0)} records are stored twice`);
    const events = await database.query<{ event: string; n: number }>(
      "SELECT record_json(body) ->> 'eventId' AS event, count(*)::int AS n FROM record WHERE kind = 'decision' GROUP BY 1",
    );
    once("decisions at the fleet", near.sentMs.keys(), new Map(events.map(({ event, n }) => [event, n])), claims);
    const [aside] = await database.query<{ n: number }>(
      "SELECT (SELECT count(*) FROM conflict)::int + (SELECT count(*) FROM dead_letter)::int + (SELECT count(*) FROM gaps)::int AS n",
    );
    claims.holds(aside?.n === 0, `${aside?.n} conflicts, dead letters or gaps`);
  } finally {
    await database.close();
  }
}
