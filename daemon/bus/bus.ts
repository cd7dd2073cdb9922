/** Given with a message of QoS 1: the sender is acknowledged when it is released, and not before. */
export interface Receipt {
  /** What became of the message is on disk. Calling it twice, or after the connection is gone, changes nothing. */
  release(): void;
}

/** One message of the LAN bus. */
export interface BusMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  /** The broker had it stored when we subscribed: it is of an unknown age. */
  readonly retain: boolean;
  /** The sender says that it may have been sent before. */
  readonly duplicate: boolean;
  /** W3C trace context, where the sender gave one (MQTT 5). */
  readonly traceparent: string | undefined;
  readonly receipt: Receipt | undefined;
}

/** What is wanted from the bus. */
export interface Subscription {
  readonly filter: string;
  readonly qos: 0 | 1;
  /** Stored messages are wanted too. */
  readonly retained: boolean;
}

export interface BusStatus {
  readonly kind: "embedded" | "external";
  readonly address: string;
  readonly connected: boolean;
  /** Wall time since when `connected` has been as it is. */
  readonly sinceMs: number;
  /** Why there is no connection, in words. */
  readonly reason: string | undefined;
  readonly heldAcknowledgements: number;
  readonly paused: boolean;
  /** Second copies of messages that several overlapping subscriptions matched: acknowledged and dropped. */
  readonly copies: number;
  readonly clients: number | undefined;
}

/** The LAN bus: where sensors publish. A broker of our own, or the client of one that is there. */
export interface Bus {
  readonly name: string;
  /** Set by the composer before the start. */
  onMessage: (message: BusMessage) => void;
  start(signal: AbortSignal): Promise<void>;
  /** Takes no more messages, waits for held acknowledgements within bounds, then leaves. */
  stop(): Promise<void>;
  /** Replaces all that was wanted before; before the start or at any time after it. */
  subscribe(wanted: readonly Subscription[]): void;
  /** No message after the current ones until `resume`: senders are slowed down, nothing is dropped. */
  pause(): void;
  resume(): void;
  status(): BusStatus;
}

/** How long `stop` waits for the last messages to be on disk. */
export const DRAIN_MS = 5_000;

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace context of a message, if it is one. */
export function traceparentOf(value: unknown): string | undefined {
  return typeof value === "string" && TRACEPARENT.test(value) ? value : undefined;
}
