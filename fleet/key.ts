import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Signer, signerOf } from "../sync/signing.ts";
import { FleetError } from "./errors.ts";

const READ_BY_OTHERS = 0o077;

export interface CollectorKey {
  readonly signer: Signer;
  /** As `fleet.keys` of a gateway's file wants it: base64 of the DER form (SPKI). */
  readonly publicText: string;
}

/** The key that acknowledgements are signed with; made where there is none. Collectors of one fleet may share it. */
export function collectorKey(file: string): CollectorKey {
  return withPublic(existsSync(file) ? read(file) : made(file));
}

/** The key that somebody has already: the fleet's, or a person's own. */
export function ownKey(file: string): CollectorKey {
  return withPublic(read(file));
}

function withPublic(privateKey: KeyObject): CollectorKey {
  const publicKey = createPublicKey(privateKey);
  const publicText = publicKey.export({ type: "spki", format: "der" }).toString("base64");
  return { signer: signerOf(privateKey, publicKey), publicText };
}

function read(file: string): KeyObject {
  try {
    if ((statSync(file).mode & READ_BY_OTHERS) !== 0)
      throw new FleetError("FLEET_KEY", { file, reason: "others may read it" }, { hint: `Run: chmod 600 ${file}` });
    const key = createPrivateKey(readFileSync(file));
    if (key.asymmetricKeyType === "ed25519") return key;
    throw new FleetError("FLEET_KEY", { file, reason: `it is a key for ${key.asymmetricKeyType}` });
  } catch (cause) {
    if (cause instanceof FleetError) throw cause;
    throw new FleetError("FLEET_KEY", { file }, { cause, hint: "It has to be an Ed25519 key in PEM form." });
  }
}

function made(file: string): KeyObject {
  const { privateKey } = generateKeyPairSync("ed25519");
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx" });
    return privateKey;
  } catch (cause) {
    throw new FleetError("FLEET_KEY", { file }, { cause });
  }
}
