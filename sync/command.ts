import { z } from "zod";
import { SyncError } from "./errors.ts";
import { checked, MOST_MESSAGE_BYTES, wireVersion } from "./messages.ts";
import { type Signed, signedParts } from "./signing.ts";

/** What the fleet may ask of a gateway from afar. What lets more be done than before is asked on the spot. */
export const commandVerbs = ["stop", "mode", "switch", "approve", "deny"] as const;
export type CommandVerb = (typeof commandVerbs)[number];

/** The longest that a command may be under way. */
export const MOST_LIFE_MS = 86_400_000;
/** How far the issuer's clock may be ahead. */
const AHEAD_MS = 300_000;

export const commandSchema = z.looseObject({
  v: z.literal(wireVersion),
  kind: z.literal("command"),
  fleet: z.string(),
  gateway: z.string(),
  id: z.uuid(),
  /** Wall time of the issuer, in milliseconds. */
  issuedAt: z.number().int(),
  expiresAt: z.number().int(),
  verb: z.string(),
  arguments: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** The person of the gateway's file who signed; left out: the fleet did. */
  person: z.string().max(64).optional(),
  key: z.string(),
  signature: z.string(),
});
export type Command = z.infer<typeof commandSchema>;

export interface ReceivedCommand {
  readonly command: Command;
  readonly signed: Signed;
}

/** Reads a command; whose signature it carries is not looked at yet. Throws SyncError. */
export function readCommand(payload: Uint8Array): ReceivedCommand {
  if (payload.byteLength > MOST_MESSAGE_BYTES)
    throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "it is too large", bytes: payload.byteLength });
  const text = Buffer.from(payload).toString("utf8");
  const signed = signedParts(text);
  if (signed === undefined) throw new SyncError("SYNC_NOT_SIGNED", {});
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "it is no JSON" }, { cause });
  }
  return { command: checked(commandSchema, value), signed };
}

export type Untimely = "expired" | "notYet" | "tooLong";

/** Why a command does not count any more, or not yet; undefined: it does. */
export function untimely(
  { issuedAt, expiresAt }: Pick<Command, "issuedAt" | "expiresAt">,
  nowMs: number,
): Untimely | undefined {
  if (expiresAt - issuedAt > MOST_LIFE_MS) return "tooLong";
  if (nowMs >= expiresAt) return "expired";
  return issuedAt > nowMs + AHEAD_MS ? "notYet" : undefined;
}
