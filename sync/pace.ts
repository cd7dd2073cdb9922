/** How much may be under way at least: one small batch. */
const LEAST_WINDOW_BYTES = 2048;
const MOST_WINDOW_BYTES = 524_288;
export const MOST_BATCHES_UNDER_WAY = 8;
/**
 * How much longer than the quickest answer one may take. Above it bytes only wait in the line's buffers, and a safety
 * record waits behind them; the delay-based control of RFC 6817 (LEDBAT), with a coarser clock.
 */
const TARGET_DELAY_MS = 500;
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
    if (this.#underWay >= Math.min(most, MOST_BATCHES_UNDER_WAY)) return false;
    return this.#underWay === 0 || this.#underWayBytes < this.#windowBytes;
  }

  /** What the next batch should have at most: a part of the window, so that an urgent one never waits long. */
  batchBytes(most: number): number {
    return Math.max(LEAST_WINDOW_BYTES / 2, Math.min(most, Math.floor(this.#windowBytes / 2)));
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
    const isQuick = tookMs - this.#quickestMs < TARGET_DELAY_MS;
    this.#resize(isQuick ? this.#windowBytes + bytes : this.#windowBytes * 0.8);
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

  #ended(bytes: number): void {
    this.#underWay = Math.max(0, this.#underWay - 1);
    this.#underWayBytes = Math.max(0, this.#underWayBytes - bytes);
  }

  #resize(bytes: number): void {
    this.#windowBytes = Math.min(MOST_WINDOW_BYTES, Math.max(LEAST_WINDOW_BYTES, Math.floor(bytes)));
  }
}
