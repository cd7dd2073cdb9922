/** Within one start and across starts of one boot, the two clocks go alike but for small corrections. */
const SAME_BOOT_MS = 5000;

/**
 * One clock over many starts of the daemon, for durations: boot time within a boot, and the wall clock's word for how
 * long it took where a boot lies in between.
 */
export class Timeline {
  #epoch: number | undefined;
  #offsetMs = 0;
  #bootMs = 0;
  #wallMs = 0;

  at(epoch: number, bootMs: number, wallMs: number): number {
    if (this.#epoch !== undefined && epoch !== this.#epoch) {
      const bootPassedMs = bootMs - this.#bootMs;
      const wallPassedMs = Math.max(0, wallMs - this.#wallMs);
      const isSameBoot = bootPassedMs >= 0 && Math.abs(bootPassedMs - wallPassedMs) <= SAME_BOOT_MS;
      if (!isSameBoot) this.#offsetMs += this.#bootMs + wallPassedMs - bootMs;
    }
    this.#epoch = epoch;
    this.#bootMs = bootMs;
    this.#wallMs = wallMs;
    return bootMs + this.#offsetMs;
  }
}
