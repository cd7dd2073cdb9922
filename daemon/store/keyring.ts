import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { keyId, type Signed } from "../../sync/signing.ts";
import { StoreError } from "./errors.ts";
import type { StoreFiles } from "./files.ts";

/** unknown: by a key that is not among those that are at hand. */
export type SignatureVerdict = "good" | "bad" | "unknown";

/** The public keys that signatures are checked with. */
export interface Keyring {
  /** Names of the keys; without any, no signature can be checked. */
  readonly keys: readonly string[];
  check(signed: Signed): SignatureVerdict;
}

export function keyringOf(publicKeys: readonly KeyObject[]): Keyring {
  const known = new Map(publicKeys.map((key) => [keyId(key), key]));
  return {
    keys: [...known.keys()],
    check({ text, key, signature }) {
      const publicKey = known.get(key);
      if (publicKey === undefined) return "unknown";
      const bytes = Buffer.from(signature, "base64");
      // One signature has one text: other bits at the end of the base64 are an edit too.
      if (bytes.toString("base64") !== signature) return "bad";
      return verify(null, Buffer.from(text), publicKey, bytes) ? "good" : "bad";
    },
  };
}

/** Keys that a person names; each file has to be one. */
export function keyringOfFiles(paths: readonly string[]): Keyring {
  return keyringOf(
    paths.map((path) => {
      try {
        return publicKeyIn(path);
      } catch (cause) {
        throw new StoreError("STORE_KEY", { file: path }, { cause });
      }
    }),
  );
}

/** The keys in a data directory: today's, and those that were in use before. */
export function keyringIn(files: StoreFiles): Keyring {
  return keyringOf(keysIn(files));
}

/** The same as text (SPKI, PEM). */
export function publicKeysIn(files: StoreFiles): string[] {
  return keysIn(files).map((key) => key.export({ type: "spki", format: "pem" }) as string);
}

function keysIn(files: StoreFiles): KeyObject[] {
  const name = basename(files.publicKey);
  const keys: KeyObject[] = [];
  for (const entry of entriesOf(dirname(files.publicKey))) {
    if (entry !== name && !entry.startsWith(`${name}.`)) continue;
    try {
      keys.push(publicKeyIn(join(files.directory, entry)));
    } catch {
      // No key in it, or not ours to read: what it signed is told as signed by an unknown key.
    }
  }
  return keys;
}

function publicKeyIn(path: string): KeyObject {
  const key = createPublicKey(readFileSync(path));
  if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is a key of the kind ${key.asymmetricKeyType}`);
  return key;
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    // A directory that may not be listed: then there are no keys at hand.
    return [];
  }
}
