import { covers, overlaps } from "../sources/topics.ts";
import type { Subscription } from "./bus.ts";

/** What is asked of a broker. */
export interface BrokerSubscription extends Subscription {
  /** MQTT 5 subscription identifier; 0 when no other subscription can match the same topic. */
  readonly identifier: number;
}

/**
 * The fewest filters that ask for everything that is wanted: what another one covers is left out, and its wishes go
 * over to the one that stays. Those that still overlap get identifiers, by which copies are told from messages.
 */
export function coveringSet(wanted: readonly Subscription[]): BrokerSubscription[] {
  const kept: Subscription[] = [];
  for (const [at, one] of wanted.entries()) {
    const isCovered = wanted.some(
      (other, index) =>
        index !== at && covers(other.filter, one.filter) && (!covers(one.filter, other.filter) || index < at),
    );
    if (!isCovered) kept.push(one);
  }
  return kept.map((one) => {
    const below = wanted.filter((other) => covers(one.filter, other.filter));
    const isAlone = kept.every((other) => other === one || !overlaps(one.filter, other.filter));
    return {
      filter: one.filter,
      qos: below.some((other) => other.qos === 1) ? 1 : 0,
      retained: below.some((other) => other.retained),
      identifier: isAlone ? 0 : filterIdentifier(one.filter),
    };
  });
}

/** Depends on the filter alone: what a session holds from before a change of configuration keeps its meaning. */
export function filterIdentifier(filter: string): number {
  // FNV-1a, folded to what MQTT allows: 1 to 268,435,455.
  let hash = 0x811c9dc5;
  for (let at = 0; at < filter.length; at += 1) {
    hash = Math.imul(hash ^ filter.charCodeAt(at), 0x01000193);
  }
  return ((hash >>> 0) % 268_435_454) + 1;
}
