/** Which phase it was when, in wall milliseconds. */
export class Phases {
  readonly #since: { readonly phase: string; readonly fromMs: number }[] = [];

  enter(phase: string): void {
    this.#since.push({ phase, fromMs: wallMs() });
  }

  /** The phase at that time; before the first one there is none. */
  at(ms: number): string {
    return this.#since.findLast(({ fromMs }) => fromMs <= ms)?.phase ?? "";
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
