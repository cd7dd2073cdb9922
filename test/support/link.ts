import { usualBackoff } from "../../sync/backoff.ts";
import { usualPatience } from "../../sync/client-options.ts";
import { Link } from "../../sync/link.ts";
import type { LinkDeps, LinkOptions } from "../../sync/link-types.ts";
import { gatewayTopics } from "../../sync/topics.ts";

export const topics = gatewayTopics("north", "plant-7");
/** Waits of next to nothing, so that a test need not wait. */
export const QUICK = { baseMs: 1, capMs: 4, refusedCapMs: 4, takenOverMs: 3 };
/** The first wait of each kind shows its cap; the random number is given as a half. */
export const CAPPED = { ...usualBackoff, baseMs: 100_000_000 };
export const SHORT = { ...usualPatience, dialMs: 1000, answerMs: 1000, acknowledgementMs: 1000 };

/** A link with what became of it. */
export interface WatchedLink {
  readonly link: Link;
  readonly sessions: string[];
  readonly downs: () => number;
  readonly conflicts: () => number;
  readonly messages: { topic: string; bytes: number; isRetained: boolean }[];
}

export const noFiles: LinkDeps["files"] = {
  ca: () => undefined,
  certificate: () => undefined,
  key: () => undefined,
  password: () => undefined,
};

/** A link of the gateway plant-7 of the fleet north. Nothing connects before `link.start()`. */
export function watchedLink(
  brokers: readonly string[],
  options: Partial<LinkOptions> = {},
  deps: Partial<LinkDeps> = {},
): WatchedLink {
  const link = new Link(
    {
      clock: { wallMs: () => Date.now(), bootMs: () => performance.now() },
      ...{ random: Math.random, files: noFiles, log: { info: () => undefined, warn: () => undefined } },
      ...deps,
    },
    {
      ...{ fleet: "north", gateway: "plant-7", brokers, keepaliveSeconds: 30, software: "0.1.0", firstWithinMs: 0 },
      ...{ subscriptions: [topics.acknowledgement, topics.backfill, topics.command], backoff: QUICK },
      ...options,
    },
  );
  const [sessions, messages]: [string[], WatchedLink["messages"]] = [[], []];
  let [downs, conflicts] = [0, 0];
  link.onUp = (session) => void sessions.push(session);
  link.onDown = () => void downs++;
  link.onIdentityConflict = () => void conflicts++;
  link.onMessage = (topic, payload, isRetained) => void messages.push({ topic, bytes: payload.length, isRetained });
  return { link, sessions, messages, downs: () => downs, conflicts: () => conflicts };
}
