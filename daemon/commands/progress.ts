import { count, duration } from "./format.ts";
import type { Io } from "./io.ts";

const TERMINAL_EVERY_MS = 200;
const PLAIN_EVERY_MS = 10_000;
const BAR = 24;

/**
 * Progress of long work on standard error, so that the output stays clean: a bar with rate and remaining time on a
 * terminal, a plain line every ten seconds elsewhere.
 */
export function createProgress(io: Io, unit: string, quiet = false) {
  const startedAt = performance.now();
  let shownAt = startedAt;
  const text = (done: number, share: number): string => {
    const seconds = (performance.now() - startedAt) / 1000;
    const remaining = share > 0 ? (seconds * 1000 * (1 - share)) / share : Number.NaN;
    return `${count(done)} ${unit}, ${count(done / Math.max(seconds, 0.001))}/s, ${Math.round(share * 100)} %, ${duration(remaining)} left`;
  };
  return {
    show(done: number, share: number): void {
      const now = performance.now();
      if (quiet || now - shownAt < (io.terminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS)) return;
      shownAt = now;
      const full = Math.round(share * BAR);
      if (io.terminal) io.err(`\r\u001b[K[${"#".repeat(full)}${".".repeat(BAR - full)}] ${text(done, share)}`);
      else io.err(`${text(done, share)}\n`);
    },
    end(): void {
      if (!quiet && io.terminal) io.err("\r\u001b[K");
    },
  };
}
