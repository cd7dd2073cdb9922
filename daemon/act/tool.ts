import type { ActionClass } from "../../sync/records.ts";

/** What an argument may be. */
export type ArgumentValue = string | number | boolean;
export type Arguments = Readonly<Record<string, ArgumentValue>>;

/** One use of a tool, as a tool of any kind sees it. */
export interface ToolCall {
  /** The action's id. */
  readonly id: string;
  readonly idempotencyKey: string;
  /** The tool's name. */
  readonly tool: string;
  readonly class: ActionClass;
  readonly arguments: Arguments;
  /** Names of arguments that come from private fields: people do not see them. */
  readonly private?: readonly string[] | undefined;
  /** From 1. */
  readonly attempt: number;
  /** How long this try may take. */
  readonly timeoutMs: number;
  /** How long is left until execute-before. */
  readonly remainingMs: number;
  readonly agent: string;
  readonly key: string;
  readonly rule: string;
  /** The decision behind it; undefined where a person proposed it. */
  readonly decision: string | undefined;
  /** W3C trace context of the event, where there was one. */
  readonly trace: string | undefined;
}

/** What became of one try. */
export type Sent =
  /** The other side said yes. */
  | { readonly kind: "acknowledged"; readonly detail?: unknown }
  /** It waits for a person, who says so later. */
  | { readonly kind: "handedOver" }
  /**
   * It did not happen. `left`: something left the gateway, and the other side said no. `permanent`: trying again would
   * not help. `retryAfterMs`: how long the other side wants to be left alone.
   */
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly left: boolean;
      readonly permanent?: boolean;
      readonly retryAfterMs?: number;
    }
  /** Something left, and nobody knows what became of it. */
  | { readonly kind: "unknown"; readonly reason: string };

/**
 * Asked at the last moment before something leaves, in the same turn of the loop: latch, mode, switches, execute-before.
 * When it says no, nothing may leave. Asked once a try; it also marks the action as sent.
 */
export type Gate = () => boolean;

/** A kind of effect, set up for one configured tool. */
export interface Tool {
  /** Many at once cost nothing: no connection or process each. */
  readonly isCheap?: boolean;
  /** What leaves does so in one piece when the gate says yes: breaking it off would only lose the answer. */
  readonly leavesWhole?: boolean;
  /**
   * One try. Never rejects. Calls `gate` synchronously right before the first byte leaves (a write, a spawn); when that
   * says no, gives { kind: "failed", left: false, reason: "stopped" }. Ends within the call's timeout, or soon after
   * `signal` aborts: then what is under way is broken off as far as it can be.
   */
  send(call: ToolCall, gate: Gate, signal: AbortSignal): Promise<Sent>;
}

/** A message of the bus as readbacks, interlocks and queries see it. */
export interface BusReading {
  readonly topic: string;
  readonly payload: Buffer;
  /** The broker had it stored: it is of an unknown age. */
  readonly retained: boolean;
}

/** What tools need of the LAN bus, apart from the sensors' way in. */
export interface CommandBus {
  readonly isConnected: boolean;
  /**
   * Publishes at QoS 1, retain false. `gate` is asked in the turn in which the packet is written. Without a connection
   * nothing is queued: { failed, left: false, reason: "notConnected" }. Nobody subscribes: it fails at once,
   * { failed, reason: "noSubscriber" }.
   */
  publish(command: BusCommand, gate: Gate, signal: AbortSignal): Promise<Sent>;
  /** Resolves when there is a connection, or the signal aborts. */
  connected(signal: AbortSignal): Promise<void>;
  /** What has left this process: resolves when nothing that was written is still in its buffers, or it was destroyed. */
  drained(): Promise<void>;
}

export interface BusCommand {
  readonly topic: string;
  readonly payload: Buffer;
  readonly timeoutMs: number;
  /** The broker throws it away after so long (MQTT 5). */
  readonly expirySeconds: number;
  /** MQTT 5 user properties. */
  readonly properties: Readonly<Record<string, string>>;
  /** MQTT 5 response topic, of queries. */
  readonly responseTopic?: string;
}
