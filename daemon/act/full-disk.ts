import type { Log } from "../log.ts";
import type { Action } from "./action.ts";
import type { Reserve } from "./reserve.ts";

interface Deps {
  readonly reserve: Reserve;
  readonly log: Log;
  readonly isFull: () => boolean;
  /** The action's intent is on disk: it may leave. */
  readonly start: (action: Action) => void;
}

/**
 * Intents that wait for the log. When the disk is full, those of the safe direction are written down where room is held
 * for them, and go on; whichever of the two has them first, they start once.
 */
export class FullDisk {
  readonly #deps: Deps;
  /** Of the safe direction, and not on disk yet. */
  readonly #undurable = new Map<string, Action>();
  /** Given to the reserve, and not in the log yet: whether it took them. */
  readonly #reserved = new Map<string, Promise<boolean>>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** An intent is on its way to the log. */
  waits(action: Action): void {
    if (action.plan.config.safeDirection) this.#undurable.set(action.id, action);
  }

  /** The log has it. */
  isDurable(action: Action): void {
    const { id } = action;
    const reserved = this.#reserved.get(id);
    this.#undurable.delete(id);
    this.#reserved.delete(id);
    if (reserved === undefined) this.#deps.start(action);
    else void reserved.then((isKept) => (isKept ? this.release(id) : this.#deps.start(action)));
  }

  /** To be called now and then. */
  look(): void {
    const { reserve, isFull } = this.#deps;
    if (this.#undurable.size === 0 || !isFull()) return;
    for (const [id, action] of this.#undurable) {
      if (reserve.free === 0) return;
      this.#undurable.delete(id);
      const kept = reserve.keep(action.intent);
      this.#reserved.set(id, kept);
      void kept.then((isKept) => {
        if (isKept) this.#deps.start(action);
        // Once the log has it, it starts without the reserve.
        else if (this.#reserved.delete(id)) this.#undurable.set(id, action);
      });
    }
  }

  async release(id: string): Promise<void> {
    const { reserve, log } = this.#deps;
    try {
      await reserve.release(id);
    } catch (err) {
      // Its place stays taken; the next start finds the intent in the log, and lets go of it.
      log.warn({ part: "act", id, err }, "a place of the reserve was not let go");
    }
  }
}
