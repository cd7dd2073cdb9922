import { z } from "zod";
import { SyncError } from "./errors.ts";
import { checked, MOST_MESSAGE_BYTES, wireVersion } from "./messages.ts";
import { type Signed, type Signer, signedParts, signedText } from "./signing.ts";

/** What may be asked of a gateway from afar, as far as who signed may ask it there. The latch is released on the spot. */
export const commandVerbs = ["stop", "mode", "switch", "approve", "deny", "logLevel", "supportBundle"] as const;
export type CommandVerb = (typeof commandVerbs)[number];

/** Not above: a tool may tell people things by warnings in the log. */
export const logLevels = ["debug", "info", "warn"] as const;
export const LOG_LEVEL_MINUTES = 60;
export const MOST_LOG_LEVEL_MINUTES = 1440;

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

/** What became of a command, as its gateway tells on `rep/command`. */
export const commandResultSchema = z.looseObject({
  v: z.literal(wireVersion),
  kind: z.literal("commandResult"),
  id: z.uuid(),
  state: z.enum(["done", "refused"]),
  reason: z.string().optional(),
  /** Wall time in milliseconds, by the fleet's clock as far as the gateway knows it. */
  at: z.number().int(),
});
export type CommandResult = z.infer<typeof commandResultSchema>;

/** What is asked of a gateway, before somebody has put their name to it. */
export interface CommandBody {
  readonly fleet: string;
  readonly gateway: string;
  readonly id: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly verb: CommandVerb;
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
  readonly person?: string | undefined;
}

/** A command as it goes over the wire. */
export function commandText(body: CommandBody, signer: Signer): string {
  const { fleet, gateway, id, issuedAt, expiresAt, verb, person } = body;
  const what = { fleet, gateway, id, issuedAt, expiresAt, verb, arguments: body.arguments };
  const by = person === undefined ? {} : { person };
  return signedText({ v: wireVersion, kind: "command", ...what, ...by }, signer);
}

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
