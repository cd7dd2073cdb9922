import { join } from "node:path";
import { epochs, gaps } from "../../daemon/store/queries.ts";
import { controlSchema, recordsSchema } from "../../daemon/store/schema.ts";
import { openForReading } from "../../daemon/store/sqlite-reader.ts";
import type { Decision } from "../../sync/records.ts";
import type { Claims } from "./claims.ts";
import { holdfast } from "./daemon.ts";
import { countersIn, eachDecision } from "./fixtures.ts";

/** What the windowed agent is configured with, and judged by. */
export const TIMING = { windowSeconds: 30, forSeconds: 4, cooldownSeconds: 12 } as const;
/** Times in the log are whole milliseconds, and the clock is read some times within one pass. */
const TOLERANCE_MS = 20;
/** So many passes of one key are under way at once, at most; the window reaches over thousands of readings. */
const MOST_IN_A_ROW = 256;
const SHOWN = 5;

export interface Evidence {
  readonly bus: string;
  readonly data: string;
  readonly acknowledged: ReadonlySet<number>;
  readonly sent: number;
  /** How often the daemon was killed. */
  readonly killed: number;
  /** A start may also have left a newer version's log for the copy from before. */
  readonly mayGoBack?: boolean;
  readonly claims: Claims;
}

/** Everything that the log has to show after the kills. */
export function checkLog(evidence: Evidence): void {
  const { bus, data, claims } = evidence;
  const starts = checkStarts(evidence);
  checkEach(evidence, "each", () => undefined);
  const windows = new WindowCheck();
  const timers = new TimerCheck(starts);
  checkEach(evidence, "window", (decision, epoch) => {
    windows.see(decision);
    timers.see(decision, epoch);
  });
  windows.report(bus, claims);
  timers.report(bus, claims);
  for (const [file, schema] of [
    ["records.db", recordsSchema],
    ["control.db", controlSchema],
  ] as const) {
    const database = openForReading(join(data, file), schema);
    const said = database.pragma("quick_check", { simple: true });
    database.close();
    claims.holds(said === "ok", `${bus}: quick_check of ${file} says ${said}`);
  }
  const verified = JSON.parse(holdfast(["audit", "verify", "--data", data, "--json"])) as { ok: boolean; rows: number };
  claims.figure(`${bus}: rows of the chain that verify`, verified.ok ? verified.rows : "the chain is broken");
  claims.holds(verified.ok, `${bus}: the chain does not verify`);
}

/** A start that did not follow an orderly end is told as a gap. */
function checkStarts({ bus, data, killed, mayGoBack, claims }: Evidence): ReadonlyMap<number, number> {
  const database = openForReading(join(data, "records.db"), recordsSchema);
  const all = epochs(database);
  const found = gaps(database);
  database.close();
  const reasons = new Map<string, number>();
  for (const { reason } of all) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  claims.figure(
    `${bus}: starts in the log by reason; gaps`,
    `${[...reasons].map(([reason, n]) => `${n} ${reason}`).join(", ")}; ${found.length}`,
  );
  const abrupt = all.filter(({ reason }) => reason !== "first" && reason !== "clean").length;
  claims.holds(found.length === abrupt, `${bus}: ${found.length} gaps for ${abrupt} starts after a crash`);
  const other = mayGoBack === true ? (reasons.get("restored") ?? 0) : 0;
  claims.holds((reasons.get("crash") ?? 0) + other === abrupt, `${bus}: a start has another reason than was to be`);
  claims.holds(abrupt <= killed, `${bus}: ${abrupt} starts after a crash, but ${killed} kills`);
  return new Map(all.map(({ ordinal, startedWallMs }) => [ordinal, startedWallMs]));
}

/** Each acknowledged id has its decision, no id has two. */
function checkEach(evidence: Evidence, agent: string, see: (decision: Decision, epoch: number) => void): void {
  const { bus, data, acknowledged, sent, claims } = evidence;
  const times = new Uint8Array(sent);
  const sources = new Map<string, number>();
  for (const { decision, epoch } of eachDecision(data, agent)) {
    sources.set(decision.source, (sources.get(decision.source) ?? 0) + 1);
    see(decision, epoch);
    if (decision.eventId === undefined) continue;
    const index = Number(decision.eventId.slice(1));
    times[index] = (times[index] ?? 0) + 1;
  }
  const missing = [...acknowledged].filter((index) => times[index] === 0);
  const twice = [...times.keys()].filter((index) => (times[index] ?? 0) > 1);
  const decided = times.reduce((sum, n) => sum + Math.min(n, 1), 0);
  const by = [...sources].map(([source, n]) => `${n} ${source}`).join(", ");
  claims.figure(
    `${bus}: ${agent}: ids decided, acknowledged without, twice`,
    `${decided} (${by}), ${missing.length}, ${twice.length}`,
  );
  const { accepted, duplicate, late, shed, decided: passes } = countersIn(data)[agent] ?? {};
  claims.figure(
    `${bus}: ${agent}: counted in the log`,
    `accepted ${accepted}, duplicate ${duplicate ?? 0}, late ${late ?? 0}, shed ${shed ?? 0}, decided ${passes}`,
  );
  claims.holds(
    missing.length === 0,
    `${bus}: ${agent}: ${missing.length} acknowledged without a decision: ${some(missing)}`,
  );
  claims.holds(twice.length === 0, `${bus}: ${agent}: ${twice.length} ids decided twice: ${some(twice)}`);
}

function some(indexes: readonly number[]): string {
  const shown = indexes.slice(0, SHOWN).map((index) => `m${index}`);
  return shown.join(", ") + (indexes.length > SHOWN ? ", …" : "");
}

interface SeenWindow {
  readonly times: number[];
  newestMs: number;
  /** How many decisions in a row were off. */
  off: number;
}

/**
 * The window of each decision, held against the readings that were decided so far. Passes end in another order than
 * they began when a host dies, so a few decisions in a row may be off; a reading that was lost or counts twice would be
 * off for as long as the window reaches.
 */
class WindowCheck {
  readonly #keys = new Map<string, SeenWindow>();
  #looked = 0;
  #off = 0;
  #furthest = 0;
  #longest = 0;

  see(decision: Decision): void {
    if (typeof decision.eventId !== "string" || !decision.window) return;
    const { key, eventTime, window } = decision;
    const state = this.#keys.get(key) ?? { times: [], newestMs: 0, off: 0 };
    this.#keys.set(key, state);
    state.newestMs = Math.max(state.newestMs, eventTime);
    const goneMs = state.newestMs - TIMING.windowSeconds * 1000;
    insertSorted(state.times, eventTime);
    while ((state.times[0] ?? Number.POSITIVE_INFINITY) <= goneMs) state.times.shift();
    const difference = Math.abs(window.count - state.times.length);
    this.#looked += 1;
    state.off = difference === 0 ? 0 : state.off + 1;
    if (difference !== 0) this.#off += 1;
    this.#furthest = Math.max(this.#furthest, difference);
    this.#longest = Math.max(this.#longest, state.off);
  }

  report(bus: string, claims: Claims): void {
    const { size } = this.#keys;
    claims.figure(
      `${bus}: windows held against what was decided; other, at most by, at most in a row`,
      `${this.#looked} of ${size} keys; ${this.#off}, ${this.#furthest}, ${this.#longest}`,
    );
    claims.holds(this.#longest < MOST_IN_A_ROW, `${bus}: a window was off for ${this.#longest} decisions in a row`);
    const left = [...this.#keys.values()].filter((state) => state.off > 0).length;
    claims.holds(left === 0, `${bus}: ${left} windows are off at the end`);
  }
}

function insertSorted(times: number[], timeMs: number): void {
  let at = times.length;
  while (at > 0 && (times[at - 1] as number) > timeMs) at -= 1;
  times.splice(at, 0, timeMs);
}

interface Timer {
  sinceMs: number | undefined;
  firing: boolean;
  lastFiredMs: number | undefined;
}

/** Takes each step of the rule again from the log alone, as if there had been one daemon all the time. */
class TimerCheck {
  readonly #starts: ReadonlyMap<number, number>;
  readonly #timers = new Map<string, Timer>();
  #fired = 0;
  #heldOver = 0;
  #cooledOver = 0;
  #wrong = 0;
  #first = "";

  constructor(starts: ReadonlyMap<number, number>) {
    this.#starts = starts;
  }

  see(decision: Decision, epoch: number): void {
    const [rule] = decision.rules;
    if (rule === undefined || decision.fields === undefined) return;
    const timer = this.#timers.get(decision.key) ?? { sinceMs: undefined, firing: false, lastFiredMs: undefined };
    this.#timers.set(decision.key, timer);
    const nowMs = decision.clock.bootMs;
    const aliveMs = decision.decidedAt - (this.#starts.get(epoch) ?? 0);
    if (Number(decision.fields["hot"]) <= 0.5) {
      timer.sinceMs = undefined;
      timer.firing = false;
    } else if (!timer.firing) {
      timer.sinceMs ??= nowMs;
      this.#waits(timer, nowMs, aliveMs, rule.fired, decision);
    }
    if (rule.fired) {
      timer.firing = true;
      timer.sinceMs = undefined;
      timer.lastFiredMs = nowMs;
    }
  }

  #waits(timer: Timer, nowMs: number, aliveMs: number, fired: boolean, decision: Decision): void {
    const heldMs = nowMs - (timer.sinceMs ?? nowMs);
    const cooledMs = timer.lastFiredMs === undefined ? Number.POSITIVE_INFINITY : nowMs - timer.lastFiredMs;
    const slackMs = Math.min(heldMs - TIMING.forSeconds * 1000, cooledMs - TIMING.cooldownSeconds * 1000);
    const isWrong = fired ? slackMs < -TOLERANCE_MS : slackMs > TOLERANCE_MS;
    if (isWrong) {
      this.#wrong += 1;
      if (this.#first === "")
        this.#first = `${decision.eventId} ${fired ? "fired" : "did not fire"} after ${heldMs} ms, ${cooledMs} ms after it last fired`;
    }
    if (!fired) return;
    this.#fired += 1;
    if (heldMs > aliveMs) this.#heldOver += 1;
    if (cooledMs < Number.POSITIVE_INFINITY && cooledMs > aliveMs) this.#cooledOver += 1;
  }

  report(bus: string, claims: Claims): void {
    claims.figure(
      `${bus}: rule fired; held over a restart, cooled down over one; steps that a single daemon would not take`,
      `${this.#fired}; ${this.#heldOver}, ${this.#cooledOver}; ${this.#wrong}`,
    );
    claims.holds(this.#wrong === 0, `${bus}: a timer did not go on: ${this.#first}`);
  }
}
