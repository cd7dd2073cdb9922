/** How the cable was. back: it is in again, and what waited meanwhile goes up. */
export type Phase = "in" | "out" | "back" | "other";

/** Which phase it was when, in wall milliseconds. */
export class Phases {
  readonly #since: { readonly phase: Phase; readonly fromMs: number }[] = [];

  enter(phase: Phase): void {
    this.#since.push({ phase, fromMs: wallMs() });
  }

  /** The phase at that time, and which of all phases it was. */
  at(ms: number): { readonly phase: Phase; readonly number: number } {
    const number = this.#since.findLastIndex(({ fromMs }) => fromMs <= ms);
    return { phase: this.#since[number]?.phase ?? "other", number };
  }

  /** How long each was in all. */
  seconds(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const [at, { phase, fromMs }] of this.#since.entries()) {
      const toMs = this.#since[at + 1]?.fromMs ?? wallMs();
      sums[phase] = (sums[phase] ?? 0) + (toMs - fromMs) / 1000;
    }
    return Object.fromEntries(Object.entries(sums).map(([phase, sum]) => [phase, Math.round(sum)]));
  }
}

/** With fractions of a millisecond. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
