import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { SyncError } from "./errors.ts";
import { MOST_MESSAGE_BYTES } from "./messages.ts";
import { keyId, signedParts } from "./signing.ts";

/** The keys whose word counts, by their names (see `keyId`). Empty: none was agreed, and nothing is checked. */
export type FleetKeys = ReadonlyMap<string, KeyObject>;

/** Ed25519 keys as base64 of their DER form (SPKI). Throws SYNC_KEY for one that is none. */
export function fleetKeys(texts: readonly string[]): FleetKeys {
  return new Map(
    texts.map((text, at) => {
      try {
        const key = createPublicKey({ key: Buffer.from(text, "base64"), format: "der", type: "spki" });
        if (key.asymmetricKeyType !== "ed25519") throw new TypeError(`it is a key for ${key.asymmetricKeyType}`);
        return [keyId(key), key];
      } catch (cause) {
        throw new SyncError("SYNC_KEY", { at }, { cause });
      }
    }),
  );
}

/** A message of the fleet as a value; with keys only one that one of them signed. */
export function readSigned(payload: Uint8Array, keys: FleetKeys): unknown {
  if (payload.byteLength > MOST_MESSAGE_BYTES)
    throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "it is too large", bytes: payload.byteLength });
  const text = Buffer.from(payload).toString("utf8");
  if (keys.size > 0) checkSignature(text, keys);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "it is no JSON" }, { cause });
  }
}

function checkSignature(text: string, keys: FleetKeys): void {
  const signed = signedParts(text);
  if (signed === undefined) throw new SyncError("SYNC_NOT_SIGNED", {});
  const key = keys.get(signed.key);
  if (key === undefined || !verify(null, Buffer.from(signed.text), key, Buffer.from(signed.signature, "base64")))
    throw new SyncError("SYNC_SIGNATURE", { key: signed.key });
}
