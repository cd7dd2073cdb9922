import { streams } from "./kinds.ts";

const DAY_MS = 86_400_000;
/** Bytes of a second may be saved up for so long: batches are lumps. */
const BURST_SECONDS = 10;
const LEAST_BURST_BYTES = 4096;

export interface BudgetLimits {
  readonly bytesPerDay?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
}

/** What has been used of the day that runs, to go on with after a restart. */
export interface BudgetState {
  /** Of the gateway's life, not of the calendar: a clock that jumps buys nothing. */
  readonly day: number;
  readonly bytes: number;
  readonly overdraftBytes: number;
}

/**
 * What the line may cost. Bytes of a second are a token bucket, bytes of a day a count that begins anew each 24 hours of
 * the gateway's life. Safety may overdraw both; by how much is told, and the others wait until it is paid back.
 */
export class Budget {
  readonly #limits: BudgetLimits;
  #tokens: number;
  #atMs: number;
  #day: number;
  #bytes: number;
  #overdraftBytes: number;

  /** `lifeMs`: how long the gateway has run in all. */
  constructor(limits: BudgetLimits, lifeMs: number, state?: BudgetState) {
    this.#limits = limits;
    this.#atMs = lifeMs;
    this.#tokens = this.#burst();
    this.#day = Math.floor(lifeMs / DAY_MS);
    const isToday = state?.day === this.#day;
    this.#bytes = isToday ? state.bytes : 0;
    this.#overdraftBytes = isToday ? state.overdraftBytes : 0;
  }

  /** How long until `bytes` of a stream may leave, in milliseconds; 0: now. */
  waitMs(stream: number, bytes: number, lifeMs: number): number {
    this.#tick(lifeMs);
    if (stream === streams.safety) return 0;
    const { bytesPerDay, bytesPerSecond } = this.#limits;
    if (bytesPerDay !== undefined && this.#bytes + bytes > bytesPerDay) return (this.#day + 1) * DAY_MS - lifeMs;
    if (bytesPerSecond === undefined) return 0;
    const wanted = Math.min(bytes, this.#burst());
    return this.#tokens >= wanted ? 0 : Math.ceil(((wanted - this.#tokens) / bytesPerSecond) * 1000);
  }

  /** Bytes that have left; all of them, whatever they were for. */
  spent(bytes: number, lifeMs: number): void {
    this.#tick(lifeMs);
    const { bytesPerDay } = this.#limits;
    if (bytesPerDay !== undefined) {
      const over = Math.max(0, this.#bytes + bytes - bytesPerDay) - Math.max(0, this.#bytes - bytesPerDay);
      this.#overdraftBytes += over;
    }
    this.#bytes += bytes;
    this.#tokens -= bytes;
  }

  state(): BudgetState {
    return { day: this.#day, bytes: this.#bytes, overdraftBytes: this.#overdraftBytes };
  }

  #tick(lifeMs: number): void {
    const { bytesPerSecond } = this.#limits;
    if (bytesPerSecond !== undefined) {
      const earned = (Math.max(0, lifeMs - this.#atMs) / 1000) * bytesPerSecond;
      this.#tokens = Math.min(this.#burst(), this.#tokens + earned);
    }
    this.#atMs = Math.max(this.#atMs, lifeMs);
    const day = Math.floor(this.#atMs / DAY_MS);
    if (day === this.#day) return;
    this.#day = day;
    this.#bytes = 0;
    this.#overdraftBytes = 0;
  }

  #burst(): number {
    return Math.max(LEAST_BURST_BYTES, (this.#limits.bytesPerSecond ?? 0) * BURST_SECONDS);
  }
}
