/** How much may be under way at least: one small batch. */
const LEAST_WINDOW_BYTES = 2048;
const MOST_WINDOW_BYTES = 524_288;
export const MOST_BATCHES_UNDER_WAY = 8;
/**
 * How much longer than the quickest answer one may take. Above it a safety record waits too long behind what is under way;
 * below it batches become so small that they pack badly. Delay-based control as in RFC 6817 (LEDBAT), with a coarser clock.
 */
const TARGET_DELAY_MS = 1100;
/** What is under way is more than one batch only where that is quick enough. */
const PARTS_ABOVE_BYTES = 32_768;
const LEAST_TIMEOUT_MS = 2000;
const MOST_TIMEOUT_MS = 60_000;
const QUICKEST_FORGOTTEN_MS = 600_000;

/** How many bytes may wait for their acknowledgement, from how long the last ones took. Pure: the caller has the clock. */
export class Pace {
  #windowBytes = 8192;
  #underWayBytes = 0;
  #underWay = 0;
  #smoothMs: number | undefined;
  #variationMs = 0;
  #quickestMs = Number.POSITIVE_INFINITY;
  #quickestAtMs = 0;

  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** Round trip of a batch, smoothed, in milliseconds; undefined before the first acknowledgement. */
  get roundTripMs(): number | undefined {
    return this.#smoothMs;
  }

  /** `most`: batches that the broker lets be under way. */
  mayStart(most: number): boolean {
    return this.#underWay < Math.min(most, MOST_BATCHES_UNDER_WAY);
  }

  /** Only what is urgent may still be added to what is under way: small batches to fill it up pack badly. */
  get isFull(): boolean {
    return this.#underWay > 0 && this.#windowBytes - this.#underWayBytes < this.#part() / 2;
  }

  /** What the next batch should have at most: on a slow line all that may be under way, on a quick one a part of it. */
  batchBytes(most: number): number {
    const room = this.#windowBytes - this.#underWayBytes;
    return Math.max(LEAST_WINDOW_BYTES / 2, Math.min(most, Math.floor(Math.min(this.#part(), room))));
  }

  started(bytes: number): void {
    this.#underWay += 1;
    this.#underWayBytes += bytes;
  }

  acknowledged(bytes: number, tookMs: number, nowMs: number): void {
    this.#ended(bytes);
    if (tookMs < this.#quickestMs || nowMs - this.#quickestAtMs > QUICKEST_FORGOTTEN_MS) {
      this.#quickestMs = tookMs;
      this.#quickestAtMs = nowMs;
    }
    // RFC 6298: smoothed round trip and its variation.
    if (this.#smoothMs === undefined) {
      this.#smoothMs = tookMs;
      this.#variationMs = tookMs / 2;
    } else {
      this.#variationMs += (Math.abs(tookMs - this.#smoothMs) - this.#variationMs) / 4;
      this.#smoothMs += (tookMs - this.#smoothMs) / 8;
    }
    const delayMs = tookMs - this.#quickestMs;
    // Well below the aim it grows quickly, near it slowly, above it it comes back in one step.
    if (delayMs < TARGET_DELAY_MS / 2) this.#resize(this.#windowBytes + bytes);
    else if (delayMs < TARGET_DELAY_MS) this.#resize(this.#windowBytes + bytes / 8);
    else this.#resize(this.#windowBytes * Math.max(0.5, TARGET_DELAY_MS / delayMs));
  }

  /** No answer in time. */
  timedOut(bytes: number): void {
    this.#ended(bytes);
    this.#resize(this.#windowBytes / 2);
  }

  /** The connection is gone, and with it what was under way. */
  reset(): void {
    this.#underWay = 0;
    this.#underWayBytes = 0;
    this.#resize(this.#windowBytes / 2);
  }

  /** How long to wait for an acknowledgement; doubled for each time that one batch was tried before. */
  timeoutMs(triedBefore: number): number {
    const expected = this.#smoothMs === undefined ? 10_000 : this.#smoothMs + 4 * this.#variationMs + 1000;
    return Math.min(MOST_TIMEOUT_MS, Math.max(LEAST_TIMEOUT_MS, expected) * 2 ** triedBefore);
  }

  #part(): number {
    const isQuick = this.#windowBytes > PARTS_ABOVE_BYTES;
    return isQuick ? Math.max(PARTS_ABOVE_BYTES, this.#windowBytes / 4) : this.#windowBytes;
  }

  #ended(bytes: number): void {
    this.#underWay = Math.max(0, this.#underWay - 1);
    this.#underWayBytes = Math.max(0, this.#underWayBytes - bytes);
  }

  #resize(bytes: number): void {
    this.#windowBytes = Math.min(MOST_WINDOW_BYTES, Math.max(LEAST_WINDOW_BYTES, Math.floor(bytes)));
  }
}
