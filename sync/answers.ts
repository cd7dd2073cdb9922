import { SyncError } from "./errors.ts";
import { type FleetKeys, readSigned } from "./fleet-keys.ts";
import {
  type Acknowledgement,
  acknowledgementSchema,
  type Backfill,
  backfillSchema,
  checked,
  type Welcome,
  welcomeSchema,
} from "./messages.ts";

export type Answer = Acknowledgement | Welcome | Backfill;

/** Whose answers count. */
export interface Addressee {
  readonly fleet: string;
  readonly gateway: string;
}

const schemas = { ack: acknowledgementSchema, welcome: welcomeSchema, backfill: backfillSchema } as const;

/**
 * Reads what a collector says to this gateway. Throws SyncError for what is no such message, is for somebody else, or is
 * signed by nobody who is known. Whether it answers this connection is the caller's to ask.
 */
export function readAnswer(payload: Uint8Array, keys: FleetKeys, to: Addressee): Answer {
  const value = readSigned(payload, keys);
  const kind = (value as { kind?: unknown } | null)?.kind;
  if (kind !== "ack" && kind !== "welcome" && kind !== "backfill")
    throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "it is of no kind that is known" });
  const answer: Answer = checked(schemas[kind], value);
  if (answer.fleet === to.fleet && answer.gateway === to.gateway) return answer;
  throw new SyncError("SYNC_NOT_FOR_US", { fleet: answer.fleet, gateway: answer.gateway });
}
