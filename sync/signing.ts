import { createHash, type KeyObject, sign } from "node:crypto";

/** Puts the gateway's name to what it wrote. */
export interface Signer {
  /** `keyId` of the key that others check with. */
  readonly key: string;
  /** Ed25519 over the text's UTF-8 bytes, in base64. */
  sign(text: string): string;
}

/** The name of a key: the first 16 hex digits of SHA-256 over its public half (SPKI, DER). */
export function keyId(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex")
    .slice(0, 16);
}

export function signerOf(privateKey: KeyObject, publicKey: KeyObject): Signer {
  return { key: keyId(publicKey), sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64") };
}

/** The object as JSON, with `key` and `signature` as its last two members; without a signer as it is. */
export function signedText(body: object, signer: Signer | undefined): string {
  if (signer === undefined) return JSON.stringify(body);
  const text = JSON.stringify({ ...body, key: signer.key });
  return `${text.slice(0, -1)},"signature":"${signer.sign(text)}"}`;
}

export interface Signed {
  /** What was signed: the text without its last member, `signature`. */
  readonly text: string;
  readonly key: string;
  readonly signature: string;
}

const LAST_MEMBERS = /,"key":"([0-9a-f]{16})","signature":"([A-Za-z0-9+/=]+)"\}$/;

/** Takes a signed text apart; undefined where it carries no signature in its place. */
export function signedParts(text: string): Signed | undefined {
  const found = LAST_MEMBERS.exec(text);
  if (found === null) return undefined;
  const [, key = "", signature = ""] = found;
  return { text: `${text.slice(0, text.length - signature.length - ',"signature":""}'.length)}}`, key, signature };
}
