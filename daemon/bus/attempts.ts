import { type ConnectionEnd, reconnectDelayMs, suggestsOlderVersion } from "./connection-end.ts";

/** A connection that lasted this long was a good one: the next failure starts with short waits again. */
const STABLE_MS = 10_000;
/** Old brokers hang up on a CONNECT they do not understand; so does one that is about to stop. */
const SILENT_ENDS = 3;

/** Attempts to connect to one broker: when the next one is due, and which version of MQTT it speaks. */
export class Attempts {
  #version: 4 | 5 = 5;
  #count = 0;
  #silentEnds = 0;
  #openedBootMs: number | undefined;

  get version(): 4 | 5 {
    return this.#version;
  }

  /** Since the last stable connection. */
  get count(): number {
    return this.#count;
  }

  opened(bootMs: number): void {
    this.#openedBootMs = bootMs;
    this.#silentEnds = 0;
  }

  /** How long to wait before the next one; `random` is between 0 and 1. */
  ended(end: ConnectionEnd, bootMs: number, random: number): number {
    if (this.#openedBootMs !== undefined && bootMs - this.#openedBootMs >= STABLE_MS) this.#count = 0;
    this.#openedBootMs = undefined;
    this.#considerOlderVersion(end);
    const delayMs = reconnectDelayMs(end, this.#count, random);
    this.#count += 1;
    return delayMs;
  }

  #considerOlderVersion(end: ConnectionEnd): void {
    if (!suggestsOlderVersion(end)) return;
    this.#silentEnds += 1;
    if (end.kind === "refused") this.#version = this.#version === 5 ? 4 : 5;
    else if (this.#silentEnds >= SILENT_ENDS) this.#version = this.#silentEnds % 2 === 1 ? 4 : 5;
  }
}
