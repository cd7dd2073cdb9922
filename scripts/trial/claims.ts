import type { Status } from "../../daemon/status.ts";
import type { TrialResult } from "./trial.ts";

/** Collects what a trial saw, and what should have held and did not. */
export class Claims {
  readonly #figures: Record<string, unknown> = {};
  readonly #failures: string[] = [];
  /** For who watches. */
  readonly say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.say = say;
  }

  figure(title: string, value: unknown): void {
    this.#figures[title] = value;
    this.say(`${title}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  }

  /** `sentence` is what is told when it did not hold. */
  holds(held: boolean, sentence: string): void {
    if (held) return;
    this.#failures.push(sentence);
    this.say(`FAILED ${sentence}`);
  }

  result(): TrialResult {
    return { figures: this.#figures, failures: this.#failures };
  }
}

/** P1: every delivery ended once or waits, and every pass that was opened was decided or is under way. */
export function ledgersBalance(status: Pick<Status, "deliveries" | "passes">): boolean {
  const { total, ...ends } = status.deliveries;
  const { opened, decided, inFlight } = status.passes;
  return Object.values(ends).reduce((sum, one) => sum + one, 0) === total && opened === decided + inFlight;
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** p50 and p99 as a person reads them. */
export function spread(values: readonly number[]): { p50: number; p99: number; count: number } {
  const sorted = [...values].sort((a, b) => a - b);
  return { p50: round(quantile(sorted, 0.5)), p99: round(quantile(sorted, 0.99)), count: sorted.length };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export function megabytes(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks again and again until it is so; false when it is not within `limitMs`. */
export async function becomes(isSo: () => boolean | Promise<boolean>, limitMs: number): Promise<boolean> {
  const until = performance.now() + limitMs;
  while (performance.now() < until) {
    if (await isSo()) return true;
    await sleep(25);
  }
  return await isSo();
}
