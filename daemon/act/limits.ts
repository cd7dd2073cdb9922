import type { Clock } from "../clock.ts";
import { type Counted, isForgotten, largerOf, NONE_TAKEN, takenIn, takeOne } from "./counted.ts";
import { keepTimes, restoreTimes } from "./kept-times.ts";
import type { ToolPlan } from "./tool-plan.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Which of the two counts. What has left may be more than what was intended (tries again), and later. */
type Count = "taken" | "left";
/** More than any limit: what stands for a text that can not be read. */
const FULL = 1_000_000_000;

export interface LimitsDeps {
  readonly clock: Clock;
  /** Keeps what is remembered, in the transaction of the intent that takes it; null: nothing any more. */
  readonly keep: (scope: string, state: string | null) => void;
}

/** One use, as limits see it. */
export interface Use {
  readonly plan: ToolPlan;
  readonly target: string;
  /** Uses that are only rehearsed take from limits of their own. */
  readonly isDry: boolean;
}

interface Place {
  readonly scope: string;
  readonly windowMs: number;
  readonly most: number;
  readonly reason: string;
}

/**
 * How often what may be done. Counted twice: when an intent is written down (durably, in its transaction), and when it
 * leaves, so that intents that waited, and tries again, do not leave in a heap. What is remembered outlives a restart.
 */
export class Limits {
  readonly #deps: LimitsDeps;
  readonly #ceilingPerMinute: number;
  /** What was taken before is not known: limits of up to a minute are used up for so long. */
  readonly #unknownBeforeMs: number | undefined;
  readonly #taken = new Map<string, { counted: Counted; windowMs: number }>();
  readonly #left = new Map<string, { counted: Counted; windowMs: number }>();

  /** `unknownBeforeMs`: the log went back to an older state then, so that what was taken last is not known. */
  constructor(
    deps: LimitsDeps,
    ceilingPerMinute: number,
    restored: Readonly<Record<string, string>>,
    unknownBeforeMs?: number | undefined,
  ) {
    this.#deps = deps;
    this.#unknownBeforeMs = unknownBeforeMs;
    this.#ceilingPerMinute = ceilingPerMinute;
    const nowBootMs = deps.clock.bootMs();
    for (const [name, text] of Object.entries(restored)) {
      const [scope, count] = placeOf(name);
      const windowMs = windowOf(scope);
      if (windowMs === undefined) continue;
      const counted = restoreCounted(text, windowMs, deps.clock);
      if (count === "taken") this.#taken.set(scope, { counted, windowMs });
      // Whatever was intended may have left.
      const known = this.#left.get(scope)?.counted ?? NONE_TAKEN;
      this.#left.set(scope, { counted: largerOf(known, counted, windowMs, nowBootMs), windowMs });
    }
  }

  /** Why it may not be done now; undefined when it may. */
  refusal(use: Use): string | undefined {
    return this.#full(this.#taken, use);
  }

  /** Takes one of each limit that the use has. */
  take(use: Use): void {
    this.#countIn(this.#taken, "taken", use);
  }

  /** At the last moment: why it may not leave now; undefined when it leaves, which is counted. */
  leave(use: Use): string | undefined {
    const refusal = this.#full(this.#left, use);
    if (refusal === undefined) this.#countIn(this.#left, "left", use);
    return refusal;
  }

  /** It may have left just before an earlier start ended: counted as if it had. */
  mayHaveLeft(use: Use): void {
    this.#countIn(this.#left, "left", use);
  }

  /** Lets go of what no longer matters: targets come and go. */
  forget(): void {
    const nowBootMs = this.#deps.clock.bootMs();
    for (const [counters, count] of [
      [this.#taken, "taken"],
      [this.#left, "left"],
    ] as const) {
      for (const [scope, { counted, windowMs }] of counters) {
        if (!isForgotten(counted, windowMs, nowBootMs)) continue;
        counters.delete(scope);
        this.#deps.keep(keptName(scope, count), null);
      }
    }
  }

  #countIn(counters: Map<string, { counted: Counted; windowMs: number }>, count: Count, use: Use): void {
    const { clock, keep } = this.#deps;
    for (const { scope, windowMs } of this.#places(use)) {
      const counted = takeOne(counters.get(scope)?.counted ?? NONE_TAKEN, windowMs, clock.bootMs());
      counters.set(scope, { counted, windowMs });
      keep(keptName(scope, count), keepTimes(counted, clock));
    }
  }

  #full(counters: ReadonlyMap<string, { counted: Counted }>, use: Use): string | undefined {
    const nowBootMs = this.#deps.clock.bootMs();
    return this.#places(use).find(({ scope, windowMs, most }) => {
      if (this.#isUnknown(scope, windowMs, nowBootMs)) return true;
      const known = counters.get(scope);
      return known !== undefined && takenIn(known.counted, windowMs, nowBootMs) >= most;
    })?.reason;
  }

  /** An hour would keep the plant from its safe state for too long; the ceiling is for storms. */
  #isUnknown(scope: string, windowMs: number, nowBootMs: number): boolean {
    const before = this.#unknownBeforeMs;
    if (before === undefined || windowMs > MINUTE_MS || scope.endsWith("ceiling")) return false;
    return nowBootMs < before + windowMs;
  }

  #places({ plan, target, isDry }: Use): Place[] {
    const dry = isDry ? "dry/" : "";
    const places: Place[] = [];
    const { name, perMinute, perTargetPerHour, minimumMs } = plan;
    if (perMinute !== undefined)
      places.push({ scope: `${dry}minute/${name}`, windowMs: MINUTE_MS, most: perMinute, reason: "perMinute" });
    if (perTargetPerHour !== undefined)
      places.push({
        scope: `${dry}hour/${name}/${target}`,
        windowMs: HOUR_MS,
        most: perTargetPerHour,
        reason: "perTargetPerHour",
      });
    if (minimumMs > 0)
      places.push({
        scope: `${dry}gap/${minimumMs}/${name}/${target}`,
        windowMs: minimumMs,
        most: 1,
        reason: "minimumSecondsBetween",
      });
    if (plan.class !== "notify")
      places.push({
        scope: `${dry}ceiling`,
        windowMs: MINUTE_MS,
        most: this.#ceilingPerMinute,
        reason: "effectsPerMinute",
      });
    return places;
  }
}

const ALL = "all/";

/**
 * The name that a count is kept under. Names that change together lie beside each other, so that an action changes few
 * pages of the database: what all actions count in at one place, and both counts of a target at another.
 */
function keptName(scope: string, count: Count): string {
  const isOfAll = /^(?:dry\/)?(?:ceiling$|minute\/)/.test(scope);
  return `${isOfAll ? ALL : ""}${scope}/${count}`;
}

function placeOf(name: string): [scope: string, count: string] {
  const scope = name.startsWith(ALL) ? name.slice(ALL.length) : name;
  const at = scope.lastIndexOf("/");
  return [scope.slice(0, Math.max(0, at)), scope.slice(at + 1)];
}

/** The window of a scope; undefined for one that is not a limit's. */
function windowOf(scope: string): number | undefined {
  const [kind = "", second = ""] = scope.replace(/^dry\//, "").split("/");
  if (kind === "minute" || kind === "ceiling") return MINUTE_MS;
  if (kind === "hour") return HOUR_MS;
  const gapMs = Number(second);
  return kind === "gap" && gapMs > 0 ? gapMs : undefined;
}

function restoreCounted(text: string, windowMs: number, clock: Clock): Counted {
  const kept = restoreTimes<Counted>(text, clock);
  const slotMs = windowMs / 60;
  const now = Math.floor(clock.bootMs() / slotMs);
  const isWhole =
    kept !== undefined &&
    Number.isFinite(kept.state.at) &&
    Array.isArray(kept.state.slots) &&
    kept.state.slots.every((n) => Number.isFinite(n) && n >= 0);
  if (!isWhole) return { at: now, slots: [FULL] };
  // Never later than now: a time to come would hold a limit for as long as the clock was wrong.
  const at = Math.min(now, kept.state.at + Math.ceil(kept.shiftMs / slotMs));
  return { at, slots: kept.state.slots };
}
