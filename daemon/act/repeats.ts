import type { Intent } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";
import { keepTimes, restoreTimes } from "./kept-times.ts";

interface Deps {
  readonly clock: Clock;
  readonly keep: (scope: string, state: string | null) => void;
}

interface Left {
  readonly id: string;
}

/** What an event led to: the same rule's same action on the same event. */
export interface Trigger {
  readonly agent: string;
  readonly eventId: string;
  readonly rule: string;
  readonly index: number;
}

const SCOPE = "repeat/";

/**
 * What may have left for events whose decisions are not on disk, because only the reserve had room: a sender that was
 * not acknowledged sends the event again, and then the action must not leave again. Each is met once; outlives restarts.
 */
export class Repeats {
  readonly #deps: Deps;
  readonly #left = new Map<string, string>();

  constructor(deps: Deps, restored: Readonly<Record<string, string>>) {
    this.#deps = deps;
    for (const [scope, text] of Object.entries(restored)) {
      const id = scope.startsWith(SCOPE) ? restoreTimes<Left>(text, deps.clock)?.state.id : undefined;
      if (id !== undefined) this.#left.set(scope, id);
    }
  }

  /** The event of this intent may come again. */
  expect({ id, agent, eventId, decision, rule, idempotencyKey }: Intent): void {
    if (eventId === undefined || decision === undefined) return;
    const index = Number(idempotencyKey.slice(`${decision}/${rule}/`.length));
    const scope = scopeOf({ agent, eventId, rule, index });
    this.#left.set(scope, id);
    this.#deps.keep(scope, keepTimes<Left>({ id }, this.#deps.clock));
  }

  /** The event came again: why its action may not leave. Goes to disk with the decision, after which it comes no more. */
  meet(trigger: Trigger): string | undefined {
    if (this.#left.size === 0) return undefined;
    const scope = scopeOf(trigger);
    const id = this.#left.get(scope);
    if (id === undefined) return undefined;
    this.#left.delete(scope);
    this.#deps.keep(scope, null);
    return `mayHaveLeft: as ${id}`;
  }
}

function scopeOf({ agent, eventId, rule, index }: Trigger): string {
  return `${SCOPE}${JSON.stringify([agent, eventId, rule, index])}`;
}
