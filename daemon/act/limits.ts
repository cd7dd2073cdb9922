import type { Clock } from "../clock.ts";
import { type Counted, isForgotten, NONE_TAKEN, takenIn, takeOne } from "./counted.ts";
import { keepTimes, restoreTimes } from "./kept-times.ts";
import type { ToolPlan } from "./tool-plan.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
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
  readonly #taken = new Map<string, { counted: Counted; windowMs: number }>();
  readonly #left = new Map<string, { counted: Counted; windowMs: number }>();

  constructor(deps: LimitsDeps, ceilingPerMinute: number, restored: Readonly<Record<string, string>>) {
    this.#deps = deps;
    this.#ceilingPerMinute = ceilingPerMinute;
    for (const [scope, text] of Object.entries(restored)) {
      const windowMs = windowOf(scope);
      if (windowMs === undefined) continue;
      const counted = restoreCounted(text, windowMs, deps.clock);
      this.#taken.set(scope, { counted, windowMs });
      this.#left.set(scope, { counted, windowMs });
    }
  }

  /** Why it may not be done now; undefined when it may. */
  refusal(use: Use): string | undefined {
    return this.#full(this.#taken, this.#places(use));
  }

  /** Takes one of each limit that the use has. */
  take(use: Use): void {
    const nowBootMs = this.#deps.clock.bootMs();
    for (const { scope, windowMs } of this.#places(use)) {
      const counted = takeOne(this.#taken.get(scope)?.counted ?? NONE_TAKEN, windowMs, nowBootMs);
      this.#taken.set(scope, { counted, windowMs });
      this.#deps.keep(scope, keepTimes(counted, this.#deps.clock));
    }
  }

  /** At the last moment: why it may not leave now; undefined when it leaves, which is counted. */
  leave(use: Use): string | undefined {
    const places = this.#places(use);
    const refusal = this.#full(this.#left, places);
    if (refusal !== undefined) return refusal;
    const nowBootMs = this.#deps.clock.bootMs();
    for (const { scope, windowMs } of places)
      this.#left.set(scope, {
        counted: takeOne(this.#left.get(scope)?.counted ?? NONE_TAKEN, windowMs, nowBootMs),
        windowMs,
      });
    return undefined;
  }

  /** Lets go of what no longer matters: targets come and go. */
  forget(): void {
    const nowBootMs = this.#deps.clock.bootMs();
    for (const [scope, { counted, windowMs }] of this.#taken) {
      if (!isForgotten(counted, windowMs, nowBootMs)) continue;
      this.#taken.delete(scope);
      this.#deps.keep(scope, null);
    }
    for (const [scope, { counted, windowMs }] of this.#left)
      if (isForgotten(counted, windowMs, nowBootMs)) this.#left.delete(scope);
  }

  #full(counters: ReadonlyMap<string, { counted: Counted }>, places: readonly Place[]): string | undefined {
    const nowBootMs = this.#deps.clock.bootMs();
    return places.find(({ scope, windowMs, most }) => {
      const known = counters.get(scope);
      return known !== undefined && takenIn(known.counted, windowMs, nowBootMs) >= most;
    })?.reason;
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
