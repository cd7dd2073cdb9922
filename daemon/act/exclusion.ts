import type { Clock } from "../clock.ts";
import { keepTimes, restoreTimes } from "./kept-times.ts";
import type { ToolPlan } from "./tool-plan.ts";

interface Held {
  readonly target: string;
  /** Actions on it that are not over. */
  readonly open: readonly string[];
  /** Until then it is held although nothing is open. */
  readonly untilBootMs: number;
}

interface Deps {
  readonly clock: Clock;
  readonly keep: (scope: string, state: string | null) => void;
}

const SCOPE = "group/";

/** Targets that exclude each other: at most one of a group at a time, and for a while after. Outlives a restart. */
export class Exclusion {
  readonly #deps: Deps;
  readonly #groups = new Map<string, Held>();
  readonly #holdMs = new Map<string, number>();
  /** Of an earlier start; what was taken since then is held by what is under way. */
  readonly #restored = new Set<string>();

  /** `unknownBeforeMs`: the log went back to an older state then, so that who held what last is not known. */
  constructor(
    deps: Deps,
    plans: Iterable<ToolPlan>,
    restored: Readonly<Record<string, string>>,
    unknownBeforeMs?: number | undefined,
  ) {
    this.#deps = deps;
    for (const { exclusive } of plans) {
      if (exclusive === undefined) continue;
      const { group, holdMs } = exclusive;
      this.#holdMs.set(group, Math.max(holdMs, this.#holdMs.get(group) ?? 0));
    }
    for (const [scope, text] of Object.entries(restored)) {
      if (!scope.startsWith(SCOPE)) continue;
      const kept = restoreTimes<Held>(text, deps.clock);
      const held = kept?.state;
      const group = scope.slice(SCOPE.length);
      if (kept === undefined || typeof held?.target !== "string" || !Array.isArray(held.open))
        this.#groups.set(group, this.#heldBySomebody(group));
      else {
        this.#groups.set(group, { ...held, untilBootMs: held.untilBootMs + kept.shiftMs });
        for (const id of held.open) this.#restored.add(id);
      }
    }
    for (const [group, holdMs] of this.#holdMs) {
      const untilBootMs = (unknownBeforeMs ?? Number.NEGATIVE_INFINITY) + holdMs;
      if (deps.clock.bootMs() < untilBootMs) this.#groups.set(group, { target: "\0", open: [], untilBootMs });
    }
  }

  refusal(plan: ToolPlan, target: string): string | undefined {
    if (plan.exclusive === undefined) return undefined;
    const held = this.#groups.get(plan.exclusive.group);
    if (held === undefined || held.target === target) return undefined;
    const isFree = held.open.length === 0 && this.#deps.clock.bootMs() >= held.untilBootMs;
    return isFree ? undefined : `exclusive: another target of ${plan.exclusive.group} is in use`;
  }

  take(plan: ToolPlan, target: string, id: string): void {
    if (plan.exclusive === undefined) return;
    const { group, holdMs } = plan.exclusive;
    const held = this.#groups.get(group);
    const open = held?.target === target ? held.open : [];
    this.#put(group, { target, open: [...open, id], untilBootMs: this.#deps.clock.bootMs() + holdMs });
  }

  /** The action is over: from now on the group is held only for its time. */
  done(plan: ToolPlan, id: string): void {
    if (plan.exclusive === undefined) return;
    const { group, holdMs } = plan.exclusive;
    const held = this.#groups.get(group);
    if (held === undefined || !held.open.includes(id)) return;
    const open = held.open.filter((one) => one !== id);
    this.#put(group, { ...held, open, untilBootMs: this.#deps.clock.bootMs() + holdMs });
  }

  /** After a restart: what is not open any more holds nothing. */
  settle(openIds: ReadonlySet<string>): void {
    for (const [group, held] of this.#groups) {
      const open = held.open.filter((id) => openIds.has(id) || !this.#restored.has(id));
      if (open.length === held.open.length) continue;
      const untilBootMs = this.#deps.clock.bootMs() + (this.#holdMs.get(group) ?? 0);
      this.#put(group, { ...held, open, untilBootMs: Math.max(held.untilBootMs, untilBootMs) });
    }
    this.#restored.clear();
  }

  /** It is not known who holds it: nobody gets it before the time is over. */
  #heldBySomebody(group: string): Held {
    return { target: "\0", open: [], untilBootMs: this.#deps.clock.bootMs() + (this.#holdMs.get(group) ?? 0) };
  }

  #put(group: string, held: Held): void {
    this.#groups.set(group, held);
    this.#deps.keep(`${SCOPE}${group}`, keepTimes(held, this.#deps.clock));
  }
}
