import type { BusReading, CommandBus } from "../act/tool.ts";

/** The daemon's second way onto the LAN bus: commands, readbacks, interlock readings and the replies to queries. */
export interface CommandBusPart extends CommandBus {
  readonly name: string;
  /** Set by the composer before the start. */
  onReading: (reading: BusReading) => void;
  /** Why nothing can be sent, in words; undefined while something can. */
  readonly reason: string | undefined;
  /** Replaces the topics whose messages are wanted; before the start. A connection is one when they are asked for. */
  watch(filters: readonly string[]): void;
  /** Does not wait for a broker that is away. */
  start(signal: AbortSignal): Promise<void>;
  /** Refuses new commands at once, waits a moment for the answers to those under way, then leaves. */
  stop(): Promise<void>;
}

/** How long `drained` waits before it breaks off what has not left. */
export const DRAINED_WITHIN_MS = 2_000;
/** How long `stop` waits for the answers to what is under way. */
export const ANSWERS_WITHIN_MS = 1_000;
