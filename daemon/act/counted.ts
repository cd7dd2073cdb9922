/** A limit counts in slots of this part of its window: never too many in any window, at most a slot too few. */
const SLOTS = 60;

/** How many were taken in each slot of the last window. `at`: the newest slot's number on the boot clock. */
export interface Counted {
  readonly at: number;
  /** Oldest first; the last one is the newest slot. */
  readonly slots: readonly number[];
}

export const NONE_TAKEN: Counted = { at: 0, slots: [] };

/**
 * How many were taken in the window that ends now. Slots that reach into the window count whole, so that no window of
 * this length, wherever it begins, has more than the limit.
 */
export function takenIn(counted: Counted, windowMs: number, nowBootMs: number): number {
  return moved(counted, slotOf(windowMs, nowBootMs)).slots.reduce((sum, n) => sum + n, 0);
}

/** One more, now. */
export function takeOne(counted: Counted, windowMs: number, nowBootMs: number): Counted {
  const { at, slots } = moved(counted, slotOf(windowMs, nowBootMs));
  const taken = slots.slice();
  taken[taken.length - 1] = (slots.at(-1) ?? 0) + 1;
  return { at, slots: taken };
}

/** Of two counts of the same thing, each slot's larger one. */
export function largerOf(one: Counted, other: Counted, windowMs: number, nowBootMs: number): Counted {
  const now = Math.max(slotOf(windowMs, nowBootMs), one.at, other.at);
  const [a, b] = [moved(one, now).slots, moved(other, now).slots];
  const length = Math.max(a.length, b.length);
  const slots = Array.from({ length }, (_, at) => Math.max(a.at(at - length) ?? 0, b.at(at - length) ?? 0));
  return { at: now, slots };
}

/** Nothing of it matters any more. */
export function isForgotten(counted: Counted, windowMs: number, nowBootMs: number): boolean {
  return takenIn(counted, windowMs, nowBootMs) === 0;
}

function slotOf(windowMs: number, nowBootMs: number): number {
  return Math.floor(nowBootMs / (windowMs / SLOTS));
}

/** The slots as they stand in slot `now`: a clock that went back leaves them, since too few is safer than too many. */
function moved({ at, slots }: Counted, now: number): Counted {
  if (slots.length === 0) return { at: now, slots: [0] };
  if (now <= at) return { at, slots };
  const passed = Math.min(now - at, SLOTS + 1);
  const shifted = [...slots, ...new Array<number>(passed).fill(0)].slice(-(SLOTS + 1));
  const first = shifted.findIndex((n) => n > 0);
  return { at: now, slots: first < 0 ? [0] : shifted.slice(first) };
}
