import { eachRecord } from "../acted.ts";
import type { Claims } from "../claims.ts";
import { holdfast } from "../daemon.ts";
import { type Comparison, compare, FEW, once, type Timed } from "./compare.ts";
import type { GatewaySite } from "./gateway-site.ts";
import type { Probe } from "./probe.ts";

/** Most of what a command takes is the start of a process. */
const COMMAND = { share: FEW, moreMs: 100 };

/** What the gateway's own log, the plant and whoever asked saw: all of it once, and no later while something was tried. */
export function judgeGateway(site: GatewaySite, probe: Probe, comparison: Comparison, claims: Claims): void {
  const { prefix = "" } = comparison;
  const decided = decisions(site, prefix, claims);
  compare("a pass, from the event to the decision", decided.passes, comparison, claims);
  compare("from the sensor to the decision", decided.fromSensor, comparison, claims);
  compare("from the sensor to the plant", commands(site, prefix, claims), comparison, claims);
  compare(
    "an action, from its proposal to its end",
    outcomes(site, decided.eventOf, prefix, claims),
    comparison,
    claims,
  );
  const asked = (what: string): Timed[] => probe.asked.filter((one) => one.what === what);
  compare("status, over the socket", asked("socket"), comparison, claims);
  compare("holdfast status, the command", asked("command"), comparison, claims, COMMAND);
  claims.holds(probe.failed.length === 0, `${prefix}${probe.failed.length} questions failed, as ${probe.failed[0]}`);
  const verified = JSON.parse(holdfast(["audit", "verify", "--data", site.data, "--json"])) as { ok: boolean };
  claims.holds(verified.ok, `${prefix}the gateway's chain does not verify`);
}

interface Decided {
  readonly passes: readonly Timed[];
  readonly fromSensor: readonly Timed[];
  /** The event that each decision was about. */
  readonly eventOf: ReadonlyMap<string, string>;
}

function decisions({ data, sentMs }: GatewaySite, prefix: string, claims: Claims): Decided {
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
  once(`${prefix}decisions`, sentMs.keys(), seen, claims);
  claims.figure(`${prefix}decisions by fallback: no answer in time`, unanswered);
  return { passes, fromSensor, eventOf };
}

function commands({ observer, sentMs }: GatewaySite, prefix: string, claims: Claims): Timed[] {
  const seen = new Map<string, number>();
  const took: Timed[] = [];
  for (const { payload, atMs } of observer.effects) {
    const { token } = JSON.parse(payload) as { token: string };
    seen.set(token, (seen.get(token) ?? 0) + 1);
    const sentAtMs = sentMs.get(token);
    if (sentAtMs !== undefined) took.push({ atMs: sentAtMs, tookMs: atMs - sentAtMs });
  }
  once(`${prefix}commands that reached the plant`, acting(sentMs), seen, claims);
  return took;
}

function outcomes(
  { data, sentMs }: GatewaySite,
  eventOf: ReadonlyMap<string, string>,
  prefix: string,
  claims: Claims,
): Timed[] {
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
  once(`${prefix}actions that ended`, acting(sentMs), ends, claims);
  claims.figure(`${prefix}how actions ended`, Object.fromEntries(states));
  return took;
}

function* acting(sentMs: ReadonlyMap<string, number>): Generator<string> {
  for (const id of sentMs.keys()) if (id.startsWith("a")) yield id;
}
