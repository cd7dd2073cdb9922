import { type BackoffLimits, backoffMs } from "./backoff.ts";
import { isNamed } from "./broker-url.ts";
import type { KnownReason } from "./reasons.ts";

/** What the link remembers from one connection to the next. */
export interface LinkMemory {
  /** Failures since the last connection that proved good. */
  readonly failures: number;
  /** How often another client took this one's name, since it was left alone for long. */
  readonly takeovers: number;
  /** Which of the configured brokers is next. */
  readonly broker: number;
  /** What each broker was found to take in one packet, by its place in the list. */
  readonly packetBytes: Readonly<Record<number, number>>;
}

export const noMemory: LinkMemory = { failures: 0, takeovers: 0, broker: 0, packetBytes: {} };

/** How a connection, or the attempt at one, ended. */
export interface LinkEnd {
  readonly reason: KnownReason;
  /** How long it was there; 0 where it never came to be. */
  readonly upForMs: number;
  /** The fleet answered over it. */
  readonly isProven: boolean;
  /** Where the broker sends us (MQTT 5, 4.11): hosts with or without a port, separated by spaces. */
  readonly serverReference?: string | undefined;
  /** The largest packet that was under way. */
  readonly largestBytes?: number | undefined;
}

export interface LinkStep {
  readonly memory: LinkMemory;
  readonly delayMs: number;
}

/** A connection this old, of which the fleet has answered, is a good one: the next failure begins anew. */
export const STABLE_MS = 60_000;
/**
 * Two that take a name from each other leave it alone for at most as long as the other one waits; a name is this one's
 * only after it had it for longer than that.
 */
export const UNDISPUTED_MS = 3_600_000;
/** A record alone is smaller; a limit below is a broker that takes nothing. */
const LEAST_PACKET_BYTES = 1024;

/** What to do after a connection ended: wait for how long, and then which broker. */
export function nextStep(
  memory: LinkMemory,
  end: LinkEnd,
  brokers: readonly string[],
  random: number,
  limits: BackoffLimits,
): LinkStep {
  const wasGood = end.isProven && end.upForMs >= STABLE_MS;
  const failures = wasGood ? 0 : memory.failures;
  const wasUndisputed = end.isProven && end.upForMs >= UNDISPUTED_MS;
  const before = wasUndisputed ? 0 : memory.takeovers;
  const { failure } = end.reason;
  const isTakenOver = failure === "takenOver";
  return {
    memory: {
      failures: failures + 1,
      takeovers: isTakenOver ? before + 1 : before,
      broker: nextBroker(memory.broker, end, brokers),
      packetBytes: end.reason.shrinks === true ? shrunk(memory, end) : memory.packetBytes,
    },
    delayMs: backoffMs(isTakenOver ? before : failures, failure, random, limits),
  };
}

function nextBroker(now: number, { reason, serverReference }: LinkEnd, brokers: readonly string[]): number {
  // Only what the gateway's own file names is ever connected to: a broker must not send a gateway to a stranger.
  const named = reason.moves === true ? (serverReference ?? "").split(" ").filter((one) => one !== "") : [];
  for (const one of named) {
    const at = brokers.findIndex((url) => isNamed(url, one));
    if (at >= 0) return at;
  }
  return (now + 1) % brokers.length;
}

function shrunk({ packetBytes, broker }: LinkMemory, { largestBytes }: LinkEnd): LinkMemory["packetBytes"] {
  if (largestBytes === undefined) return packetBytes;
  const before = packetBytes[broker] ?? Number.POSITIVE_INFINITY;
  return { ...packetBytes, [broker]: Math.max(LEAST_PACKET_BYTES, Math.min(before, Math.floor(largestBytes / 2))) };
}
