import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { SyncError } from "./errors.ts";

/** P-256 as Node names it: the one curve of a fleet's keys. */
export const CURVE = "prime256v1";
const CLIENT = "1.3.6.1.5.5.7.3.2";
const MOST_CERTIFICATE_CHARS = 16_384;

/** A subject that is one name of those that are given here, and nothing else. */
const NAME_ALONE = /^CN=([A-Za-z0-9:_ -]+)$/;

/** What a certificate says, without the library that makes them: the daemon reads one at each start. */
export interface CertificateFacts {
  /** Empty: a subject such as no fleet gives. */
  readonly commonName: string;
  /** In hex, lower case. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Name of the key that it is for: see `spkiHash`. */
  readonly keyHash: string;
  readonly isForClients: boolean;
  /** Whether this CA has signed it. */
  isSignedBy(authorityPem: string): boolean;
}

export function certificateFacts(pem: string): CertificateFacts {
  try {
    if (pem.length > MOST_CERTIFICATE_CHARS) throw new RangeError("it is too large");
    const certificate = new X509Certificate(pem);
    return {
      // Not by toLegacyObject: in Node 20 a process that calls it before its first TLS connection never has one.
      commonName: NAME_ALONE.exec(certificate.subject)?.[1] ?? "",
      serial: certificate.serialNumber.toLowerCase(),
      notBeforeMs: Date.parse(certificate.validFrom),
      notAfterMs: Date.parse(certificate.validTo),
      keyHash: spkiHash(certificate.publicKey),
      isForClients: (certificate.keyUsage ?? []).includes(CLIENT),
      isSignedBy: (authorityPem) => {
        const authority = new X509Certificate(authorityPem);
        return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
      },
    };
  } catch (cause) {
    throw new SyncError("SYNC_CERTIFICATE", {}, { cause });
  }
}

/** A key's name: SHA-256 over its public half (SPKI, DER), in hex. */
export function spkiHash(key: KeyObject): string {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
}

/** For people to compare at both ends: SHA-256 over the certificate, as openssl prints it. */
export function fingerprint(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}

export function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: CURVE }).privateKey;
}

export function keyPem(key: KeyObject): string {
  return String(key.export({ type: "pkcs8", format: "pem" }));
}

/** Whether two PEM texts are a key and the certificate for it. */
export function fits(keyText: string, certificatePem: string): boolean {
  try {
    const own = createPublicKey(createPrivateKey(keyText)).export({ type: "spki", format: "der" });
    return own.equals(new X509Certificate(certificatePem).publicKey.export({ type: "spki", format: "der" }));
  } catch {
    return false;
  }
}
