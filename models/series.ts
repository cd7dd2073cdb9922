const FIRST_SLOTS = 8;

/**
 * Readings of one field of one key in order of event time; those of equal time stay in order of arrival. A ring that
 * starts with eight slots, doubles when full and halves when nearly empty, so that rare keys stay small.
 */
export class Series {
  count = 0;
  /** Slot of the oldest reading. The number of slots is a power of two, so `(head + n) & mask` is the n-th reading. */
  head = 0;
  times = new Float64Array(FIRST_SLOTS);
  values = new Float64Array(FIRST_SLOTS);

  get mask(): number {
    return this.times.length - 1;
  }

  timeAt(index: number): number {
    return this.times[(this.head + index) & this.mask] as number;
  }

  valueAt(index: number): number {
    return this.values[(this.head + index) & this.mask] as number;
  }

  /** Puts a reading in its place. False when the oldest had to go because `maxReadings` are kept. */
  insert(timeMs: number, value: number, maxReadings: number): boolean {
    const isFull = this.count >= maxReadings;
    if (isFull) {
      if (this.count === 0 || timeMs < this.timeAt(0)) return false;
      this.#dropOldest(1);
    }
    if (this.count === this.times.length) this.#resize(this.times.length * 2);
    const { times, values, head, mask } = this;
    let at = this.count;
    // Late ones are rare and near the end: move the newer ones up by one.
    while (at > 0) {
      const before = (head + at - 1) & mask;
      if ((times[before] as number) <= timeMs) break;
      const slot = (head + at) & mask;
      times[slot] = times[before] as number;
      values[slot] = values[before] as number;
      at -= 1;
    }
    const slot = (head + at) & mask;
    times[slot] = timeMs;
    values[slot] = value;
    this.count += 1;
    return !isFull;
  }

  /** Forgets all but the newest; returns how many went. */
  keepNewest(readings: number): number {
    const gone = Math.max(0, this.count - readings);
    this.#dropOldest(gone);
    return gone;
  }

  /** Forgets readings at or before this time. */
  dropThrough(timeMs: number): void {
    const gone = this.firstAfter(timeMs);
    if (gone === 0) return;
    this.#dropOldest(gone);
    const slots = this.times.length;
    if (slots > FIRST_SLOTS && this.count * 8 <= slots) this.#resize(slots / 2);
  }

  /** Index of the first reading after this time; `count` when there is none. */
  firstAfter(timeMs: number): number {
    if (this.count === 0 || this.timeAt(0) > timeMs) return 0;
    // Mostly one or two have left since the last look, so the search goes in doubling steps from the oldest.
    let low = 0;
    let step = 1;
    while (low + step < this.count && this.timeAt(low + step) <= timeMs) {
      low += step;
      step *= 2;
    }
    let high = Math.min(low + step, this.count);
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.timeAt(middle) <= timeMs) low = middle;
      else high = middle;
    }
    return high;
  }

  #dropOldest(many: number): void {
    this.head = (this.head + many) & this.mask;
    this.count -= many;
  }

  #resize(slots: number): void {
    const times = new Float64Array(slots);
    const values = new Float64Array(slots);
    for (let at = 0; at < this.count; at++) {
      times[at] = this.timeAt(at);
      values[at] = this.valueAt(at);
    }
    this.times = times;
    this.values = values;
    this.head = 0;
  }
}
