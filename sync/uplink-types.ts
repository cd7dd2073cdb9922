import type { BudgetLimits, BudgetState } from "./budget.ts";
import type { FleetKeys } from "./fleet-keys.ts";
import type { ClockReading } from "./messages.ts";
import type { GatewayTopics } from "./topics.ts";
import type { UplinkLog } from "./uplink-log.ts";

export interface UplinkLine {
  /** Resolves with the broker's reason code (0: taken; 16: nobody listens). Rejects when the connection is gone. */
  publish(message: {
    topic: string;
    payload: Uint8Array | string;
    qos: 0 | 1;
    expirySeconds?: number;
  }): Promise<number>;
  limits(): { readonly packetBytes: number; readonly underWay: number };
  /** The fleet answered: the connection is good for more than a CONNACK. */
  proven(): void;
}

export interface UplinkDeps {
  readonly log: UplinkLog;
  readonly line: UplinkLine;
  readonly topics: GatewayTopics;
  readonly keys: FleetKeys;
  readonly clock: { read(): ClockReading; bootMs(): number; lifeMs(): number };
  readonly random: () => number;
  /** The fleet's clock when a message of it came, and how far it may be off. */
  readonly heardTime: (nowMs: number, uncertaintyMs: number) => void;
}

export interface UplinkOptions {
  readonly fleet: string;
  readonly gateway: string;
  readonly software: string;
  readonly ackMode: "collector" | "puback";
  readonly budget: BudgetLimits;
  readonly budgetState?: BudgetState | undefined;
}

export type UplinkCondition = "down" | "greeting" | "sending" | "probing";
