import type { CheckId } from "./catalogue.ts";
import { type Finding, skipped } from "./finding.ts";
import type { Site } from "./site.ts";

/** One look at the machine, which may tell of several checks. */
export interface Check {
  readonly tells: readonly CheckId[];
  readonly withinMs: number;
  look(site: Site, signal: AbortSignal): Promise<readonly Finding[]> | readonly Finding[];
}

/** Looks, but no longer than it may; what went wrong in looking is told as skipped, and stops no other check. */
export async function within(check: Check, site: Site): Promise<readonly Finding[]> {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<readonly Finding[]>((resolve) => {
    timer = setTimeout(() => {
      resolve(check.tells.map((id) => skipped(id, `no end within ${check.withinMs / 1000} s`)));
      late.abort();
    }, check.withinMs);
  });
  try {
    return await Promise.race([Promise.resolve().then(() => check.look(site, late.signal)), tooLate]);
  } catch (error) {
    const { code, message = String(error) } = error as NodeJS.ErrnoException;
    const why = code === "EACCES" ? `this user may not look (${message}): run doctor as root` : message;
    return check.tells.map((id) => skipped(id, `could not look: ${why}`));
  } finally {
    clearTimeout(timer);
    late.abort();
  }
}
