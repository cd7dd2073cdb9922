import { isRefusal } from "./database.ts";

const FIRST_MS = 200;
const LAST_MS = 10_000;
const DOUBLINGS = 8;
const TOLD_EACH = 20;

export interface PatienceLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/**
 * Does something with the database again and again while it is away: what waits is neither lost nor acknowledged.
 * Resolves with undefined when `over` says that nobody waits any more. Rejects where the database answers and will not
 * take it: trying again would keep all others waiting for ever.
 */
export async function untilDone<T>(
  what: string,
  work: () => Promise<T>,
  { log, over }: { readonly log: PatienceLog; readonly over: AbortSignal },
): Promise<T | undefined> {
  for (let tries = 0; ; tries++) {
    try {
      const done = await work();
      if (tries > 0) log.info({ what, tries }, "the database answers again");
      return done;
    } catch (err) {
      if (isRefusal(err)) throw err;
      if (tries % TOLD_EACH === 0) log.warn({ what, tries, err }, "the database does not take it");
      if (over.aborted) return undefined;
      await pause(Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(tries, DOUBLINGS)), over);
    }
  }
}

/** Ends early when `over` is aborted. */
export function pause(ms: number, over: AbortSignal): Promise<void> {
  if (over.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const ended = (): void => {
      clearTimeout(timer);
      over.removeEventListener("abort", ended);
      resolve();
    };
    const timer = setTimeout(ended, ms);
    over.addEventListener("abort", ended);
  });
}
