import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";

const SAFETY = 0;
/** A clock that runs well is written down so often; one that jumped at once. */
const AGAIN_MS = 3_600_000;
const JUMP_MS = 1000;

interface Deps {
  readonly store: Pick<Store, "append">;
  readonly clock: Clock;
  readonly newId: (wallMs: number) => string;
}

/**
 * Writes down what time it was elsewhere when this boot's clock showed something: the fleet corrects the times of all
 * records of the boot by it, also of those that were written before anybody knew the time. Called with the fleet's
 * clock, as it was at the middle of a round trip; the wall clock of this machine is left alone.
 */
export function clockSync({ store, clock, newId }: Deps): (fleetMs: number, uncertaintyMs: number) => void {
  let lastBootMs: number | undefined;
  let lastOffsetMs = 0;
  return (fleetMs, uncertaintyMs) => {
    const bootMs = clock.bootMs() - uncertaintyMs;
    const offsetMs = fleetMs - bootMs;
    const isNews = Math.abs(offsetMs - lastOffsetMs) > JUMP_MS + 2 * uncertaintyMs;
    if (lastBootMs !== undefined && bootMs - lastBootMs < AGAIN_MS && !isNews) return;
    lastBootMs = bootMs;
    lastOffsetMs = offsetMs;
    const at = Math.floor(clock.wallMs());
    const id = newId(at);
    const sync = { bootId: clock.bootId, bootMs, wallMs: Math.floor(fleetMs), source: "fleet", uncertaintyMs };
    const body = JSON.stringify({ v: 1, kind: "clockSync", id, ...sync, trust: clock.trust(), at });
    store.append({ stream: SAFETY, kind: "clockSync", agent: 0, id, wallMs: at, body });
  };
}
