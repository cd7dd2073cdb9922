import type { BackoffLimits } from "./backoff.ts";
import type { Patience } from "./client-options.ts";
import type { LinkFiles } from "./dial.ts";
import type { Reason } from "./reasons.ts";

export interface LinkOptions {
  readonly fleet: string;
  readonly gateway: string;
  readonly brokers: readonly string[];
  readonly username?: string | undefined;
  readonly serverName?: string | undefined;
  readonly proxy?: string | undefined;
  readonly keepaliveSeconds: number;
  readonly software: string;
  /** The first connection waits for up to so long: power comes back to a whole site at once. */
  readonly firstWithinMs: number;
  readonly backoff?: BackoffLimits | undefined;
  readonly patience?: Patience | undefined;
  /** To be heard at each connection, before `onUp`. */
  readonly subscriptions: readonly string[];
}

interface LogFields {
  readonly reason?: string;
  readonly code?: string;
  readonly delayMs?: number;
  readonly bus?: string;
  readonly attempt?: number;
}

export interface LinkDeps {
  readonly clock: { wallMs(): number; bootMs(): number };
  readonly random: () => number;
  /** Read anew for each connection; undefined: none is configured. They throw where a file can not be read. */
  readonly files: LinkFiles;
  readonly log: { info(fields: LogFields, message: string): void; warn(fields: LogFields, message: string): void };
}

export interface LinkState {
  readonly state: "off" | "connecting" | "connected" | "waiting";
  /** Wall time in milliseconds. */
  readonly sinceMs: number;
  readonly broker: string;
  /** Why the last connection ended or never came to be; while there is one, what the broker refuses. */
  readonly reason: Reason | undefined;
  readonly nextAttemptAtMs: number | undefined;
  readonly attempts: number;
  readonly rttMs: number | undefined;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly identityConflict: boolean;
}
