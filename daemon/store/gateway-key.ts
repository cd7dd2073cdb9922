import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmodSync, existsSync, readFileSync, renameSync, statSync } from "node:fs";
import { keyId, type Signer, signerOf } from "../../sync/signing.ts";
import { crashpoint } from "../crashpoint.ts";
import { writeDurably } from "../durable-file.ts";
import type { StoreFiles } from "./files.ts";

export interface OpenedKey {
  /** Undefined when there is no key and none could be written: the log goes on without signatures. */
  readonly signer: Signer | undefined;
  /** What the first record of the epoch says of it. */
  readonly notes: readonly string[];
}

/** The gateway's own key, or a new one. `known`: the name of the key that signed before. What can not be used is kept aside. */
export function openKey(files: StoreFiles, known: string | undefined, wallMs: number): OpenedKey {
  const notes: string[] = [];
  try {
    const privateKey = readKey(files, known, wallMs, notes) ?? makeKey(files);
    const publicKey = createPublicKey(privateKey);
    const signer = signerOf(privateKey, publicKey);
    if (known !== undefined && known !== signer.key)
      notes.push(`the log is signed by key ${signer.key} from here on, before by key ${known}`);
    publish(files, publicKey, wallMs);
    return { signer, notes };
  } catch (error) {
    notes.push(`the log is not signed: ${error instanceof Error ? error.message : String(error)}`);
    return { signer: undefined, notes };
  }
}

function readKey(files: StoreFiles, known: string | undefined, wallMs: number, notes: string[]): KeyObject | undefined {
  if (!existsSync(files.key)) {
    if (known !== undefined) notes.push("gateway.key was missing: a new key was made");
    return undefined;
  }
  try {
    if ((statSync(files.key).mode & 0o077) !== 0) {
      chmodSync(files.key, 0o600);
      notes.push("gateway.key could be read by others until now");
    }
    const key = createPrivateKey(readFileSync(files.key));
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch {
    // Not a key, or not ours to read: set aside like one of another kind.
  }
  const aside = `${files.key}.unreadable-${wallMs}`;
  renameSync(files.key, aside);
  notes.push(`gateway.key could not be read and was set aside as ${aside}: a new key was made`);
  return undefined;
}

function makeKey(files: StoreFiles): KeyObject {
  const { privateKey } = generateKeyPairSync("ed25519");
  crashpoint("key.before");
  writeDurably(files.key, privateKey.export({ type: "pkcs8", format: "pem" }), 0o600);
  crashpoint("key.after");
  return privateKey;
}

/** The public half beside it; a former one is kept, since what it signed is still there. */
function publish(files: StoreFiles, publicKey: KeyObject, wallMs: number): void {
  const text = publicKey.export({ type: "spki", format: "pem" }) as string;
  if (existsSync(files.publicKey)) {
    const former = readFileSync(files.publicKey, "utf8");
    if (former === text) return;
    renameSync(files.publicKey, `${files.publicKey}.${nameOf(former) ?? `unreadable-${wallMs}`}`);
  }
  writeDurably(files.publicKey, text, 0o644);
}

function nameOf(text: string): string | undefined {
  try {
    return keyId(createPublicKey(text));
  } catch {
    // No key in it: it is kept under another name.
    return undefined;
  }
}
