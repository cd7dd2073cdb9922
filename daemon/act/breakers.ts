import type { Clock } from "../clock.ts";
import { afterTry, type BreakerState, CLOSED, mayTry, tried } from "./breaker.ts";
import { keepTimes, restoreTimes } from "./kept-times.ts";
import type { ToolPlan } from "./tool-plan.ts";

interface Deps {
  readonly clock: Clock;
  readonly keep: (scope: string, state: string | null) => void;
}

const SCOPE = "breaker/";

/** The breakers of all tools. What is open stays open over a restart. */
export class Breakers {
  readonly #deps: Deps;
  readonly #states = new Map<string, BreakerState>();

  constructor(deps: Deps, restored: Readonly<Record<string, string>>) {
    this.#deps = deps;
    for (const [scope, text] of Object.entries(restored)) {
      const kept = scope.startsWith(SCOPE) ? restoreTimes<BreakerState>(text, deps.clock) : undefined;
      if (kept === undefined || !Number.isFinite(kept.state.failures)) continue;
      const { failures, openUntilBootMs } = kept.state;
      this.#states.set(scope.slice(SCOPE.length), {
        failures,
        openUntilBootMs: openUntilBootMs === null ? null : openUntilBootMs + kept.shiftMs,
        trying: false,
      });
    }
  }

  refusal({ name }: ToolPlan): string | undefined {
    return mayTry(this.stateOf(name), this.#deps.clock.bootMs()) ? undefined : "breakerOpen";
  }

  take({ name }: ToolPlan): void {
    this.#put(name, tried(this.stateOf(name)));
  }

  /** `undefined`: it never left. */
  ended({ name, breaker }: ToolPlan, worked: boolean | undefined): void {
    this.#put(name, afterTry(this.stateOf(name), breaker, worked, this.#deps.clock.bootMs()));
  }

  stateOf(tool: string): BreakerState {
    return this.#states.get(tool) ?? CLOSED;
  }

  #put(tool: string, state: BreakerState): void {
    const before = this.stateOf(tool);
    this.#states.set(tool, state);
    const isSame = before.failures === state.failures && before.openUntilBootMs === state.openUntilBootMs;
    if (!isSame) this.#deps.keep(`${SCOPE}${tool}`, state === CLOSED ? null : keepTimes(state, this.#deps.clock));
  }
}
