import type { ClockTrust } from "./clock.ts";
import type { Deliveries, Passes } from "./ledger.ts";

/** What `holdfast status --json` prints. */
export interface Status {
  readonly version: string;
  readonly mode: string;
  readonly latched: boolean;
  /** Why, while it is set; `reason`: what keeps it from lasting. */
  readonly latch: {
    readonly why: string;
    readonly by: string;
    readonly since: string;
    readonly nonce: string;
    readonly reason?: string;
  } | null;
  readonly ready: boolean;
  readonly uptimeSeconds: number;
  readonly epoch: number;
  readonly generation: { readonly id: string; readonly origin: string };
  readonly deliveries: Deliveries;
  readonly passes: Passes;
  readonly gaps: readonly { readonly from: string; readonly to: string; readonly reason: string }[];
  readonly sinceStart: { readonly deliveries: number; readonly passes: number };
  /** Under way; waiting for a yes; waiting for a person to take them. */
  readonly actions: { readonly running: number; readonly awaitingApproval: number; readonly handoffs: number };
  readonly agents: readonly AgentStatus[];
  readonly models: readonly ModelLine[];
  readonly store: StoreLine;
  readonly hosts: readonly HostLine[];
  readonly bus: BusLine;
  /** The configuration has mistakes, and the last one that worked stands in for it. */
  readonly lastGood: boolean;
  /** Why the version before the installed one runs; null: the installed one does. */
  readonly returned: string | null;
  /** The wall clock as this machine has it, and whether something keeps it right. */
  readonly clock: { readonly wall: string; readonly trust: ClockTrust };
}

export interface AgentStatus {
  readonly name: string;
  readonly priority: string;
  readonly model: string | null;
  readonly keys: number;
  readonly evicted: number;
  readonly deliveries: Deliveries;
  readonly passes: Passes;
  readonly decided: number;
  readonly fired: number;
  readonly fallbacks: number;
  /** Event received to decision made, since the start, from a histogram with steps of 10 %. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export interface ModelLine {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly state: string;
  readonly reason?: string;
  readonly strikes: number;
  readonly lane: string;
}

export interface HostLine {
  readonly pid: number | null;
  readonly lane: string;
  readonly restarts: number;
  readonly residentBytes: number;
  readonly state: string;
}

export interface StoreLine {
  readonly path: string;
  readonly bytes: number;
  readonly walBytes: number;
  readonly records: number;
  readonly state: string;
  readonly reason?: string;
}

export interface BusLine {
  readonly kind: string;
  readonly address: string;
  readonly connected: boolean;
  readonly reason?: string;
  readonly heldAcknowledgements: number;
}
