// The library's decorators want this before it is loaded.
import "reflect-metadata";
import { createPublicKey, type KeyObject, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
} from "@peculiar/x509";
import { CURVE } from "./certificate-facts.ts";
import { SyncError } from "./errors.ts";

const DAY_MS = 86_400_000;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;
const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const MOST_REQUEST_CHARS = 8192;

/** Who signs certificates: a name and a key. */
export interface Issuer {
  readonly name: string;
  readonly key: KeyObject;
}

export interface Wanted {
  readonly commonName: string;
  readonly publicKey: KeyObject;
  readonly use: "client" | "server";
  /** DNS names and addresses, of a server. */
  readonly hosts?: readonly string[];
  readonly nowMs: number;
  readonly notAfterMs: number;
}

/** The certificate of a CA that signs clients, servers and revocation lists, and no other CA. PEM. */
export async function authorityCertificate({ name, key }: Issuer, nowMs: number, notAfterMs: number): Promise<string> {
  const publicKey = await cryptoKey(createPublicKey(key));
  const certificate = await X509CertificateGenerator.create({
    ...{ subject: named(name), issuer: named(name), serialNumber: serial(), signingAlgorithm: SIGNING },
    ...{ notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(notAfterMs) },
    ...{ publicKey, signingKey: await cryptoKey(key) },
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return pem(certificate);
}

/** A certificate for somebody's key. Valid from a day ago: a gateway's clock may be slow. PEM. */
export async function issuedCertificate(issuer: Issuer, wanted: Wanted): Promise<string> {
  const { commonName, publicKey: object, use, hosts = [], nowMs, notAfterMs } = wanted;
  const publicKey = await cryptoKey(object);
  const usage = use === "client" ? ExtendedKeyUsage.clientAuth : ExtendedKeyUsage.serverAuth;
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([usage]),
    await SubjectKeyIdentifierExtension.create(publicKey),
    await AuthorityKeyIdentifierExtension.create(await cryptoKey(createPublicKey(issuer.key))),
  ];
  const names = hosts.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value }));
  if (names.length > 0) extensions.push(new SubjectAlternativeNameExtension(names));
  const certificate = await X509CertificateGenerator.create({
    ...{ subject: named(commonName), issuer: named(issuer.name), serialNumber: serial(), signingAlgorithm: SIGNING },
    ...{ notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(notAfterMs) },
    ...{ publicKey, signingKey: await cryptoKey(issuer.key), extensions },
  });
  return pem(certificate);
}

/** A request for a certificate (PKCS#10), signed by the key that it is for. PEM. */
export async function certificateRequest(commonName: string, key: KeyObject): Promise<string> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    ...{ name: named(commonName), signingAlgorithm: SIGNING },
    keys: { publicKey: await cryptoKey(createPublicKey(key)), privateKey: await cryptoKey(key) },
  });
  return pem(request);
}

export interface ReadRequest {
  readonly commonName: string;
  readonly publicKey: KeyObject;
}

/** What a request asks for. Throws SYNC_REQUEST where it is none, or its key did not sign it. */
export async function readRequest(text: string): Promise<ReadRequest> {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new SyncError("SYNC_REQUEST", { reason }, { cause });
  };
  if (text.length > MOST_REQUEST_CHARS) refuse("it is too large");
  let read: (ReadRequest & { readonly isProven: boolean }) | undefined;
  try {
    const request = new Pkcs10CertificateRequest(text);
    const publicKey = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: "der", type: "spki" });
    const names = request.subjectName.getField("CN");
    read = { commonName: names.length === 1 ? (names[0] ?? "") : "", publicKey, isProven: await request.verify() };
  } catch (cause) {
    refuse("it is no request in PEM form", cause);
  }
  if (read === undefined || !read.isProven) return refuse("its key did not sign it");
  if (read.publicKey.asymmetricKeyDetails?.namedCurve !== CURVE) refuse("its key is none of P-256");
  return read;
}

export interface Revoked {
  /** In hex. */
  readonly serial: string;
  readonly atMs: number;
}

/** The list of what is revoked. `nextMs` is when brokers begin to refuse everybody, so it is far. PEM. */
export async function revocationList(
  { name, key }: Issuer,
  revoked: readonly Revoked[],
  nowMs: number,
  nextMs: number,
): Promise<string> {
  const list = await X509CrlGenerator.create({
    ...{ issuer: named(name), signingAlgorithm: SIGNING, signingKey: await cryptoKey(key) },
    ...{ thisUpdate: new Date(nowMs - DAY_MS), nextUpdate: new Date(nextMs) },
    entries: revoked.map(({ serial: serialNumber, atMs }) => ({ serialNumber, revocationDate: new Date(atMs) })),
  });
  // RFC 7468, 6: the library's own label is one that OpenSSL does not know.
  return pem(list).replaceAll(" CRL-----", " X509 CRL-----");
}

/** As a list of parts and not as text: nothing in a name has a meaning. */
function named(commonName: string) {
  return [{ CN: [commonName] }];
}

/** Positive, and of a length that all take (RFC 5280, 4.1.2.2). */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

async function cryptoKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  return key.type === "private"
    ? await webcrypto.subtle.importKey("pkcs8", key.export({ type: "pkcs8", format: "der" }), P256, true, ["sign"])
    : await webcrypto.subtle.importKey("spki", key.export({ type: "spki", format: "der" }), P256, true, ["verify"]);
}

function pem(thing: { toString(format: "pem"): string }): string {
  return `${thing.toString("pem").trimEnd()}\n`;
}
