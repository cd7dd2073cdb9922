import type { Sent } from "../tool.ts";

/** Why a try was broken off. */
export type Cut = "timeout" | "stopped";

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const stopped: Sent = { kind: "failed", left: false, reason: "stopped" };

/** Nothing left. */
export function refused(reason: string, permanent = true): Sent {
  return { kind: "failed", left: false, reason, permanent };
}

/** A file that the gateway's own names can not be read: that may be mended meanwhile. */
export function fileRefused(error: unknown): Sent {
  const { message, hint } = error as Error & { readonly hint?: string };
  return refused(hint === undefined ? message : `${message} ${hint}`, false);
}

export function unknown(reason: string): Sent {
  return { kind: "unknown", reason };
}

/**
 * One try from its beginning to its one end; what is told after that is not heard. `begin` gives back what breaks it
 * off, which is called once, when the time is over or the signal aborts, and has to see to an end soon after.
 */
export function oneTry(
  timeoutMs: number,
  signal: AbortSignal,
  begin: (end: (sent: Sent) => void) => (why: Cut) => void,
): Promise<Sent> {
  if (signal.aborted) return Promise.resolve(stopped);
  return new Promise((resolve) => {
    let isOver = false;
    let cutBy: Cut | undefined;
    let cut: ((why: Cut) => void) | undefined;
    const breakOff = (why: Cut): void => {
      if (isOver || cutBy !== undefined) return;
      cutBy = why;
      cut?.(why);
    };
    const onAbort = (): void => breakOff("stopped");
    const timer = setTimeout(() => breakOff("timeout"), Math.min(timeoutMs, LONGEST_TIMER_MS));
    signal.addEventListener("abort", onAbort, { once: true });
    const end = (sent: Sent): void => {
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve(sent);
    };
    try {
      cut = begin(end);
    } catch (error) {
      end(refused((error as Error).message));
    }
    // A gate that stops the whole way may have aborted it meanwhile.
    if (cutBy !== undefined && !isOver) cut?.(cutBy);
  });
}
