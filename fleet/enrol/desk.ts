import { createPublicKey, randomBytes } from "node:crypto";
import { keyPem, newKey, spkiHash } from "../../sync/certificate-facts.ts";
import { issuedCertificate, type ReadRequest, readRequest } from "../../sync/certificates.ts";
import { type Enrolment, enrolmentText, type ReadCertificateRequest } from "../../sync/enrolment.ts";
import { wireVersion } from "../../sync/messages.ts";
import type { Signer } from "../../sync/signing.ts";
import { newcomerName, TOPIC_NAME } from "../../sync/topics.ts";
import type { Authority } from "./authority.ts";
import { EnrolError } from "./errors.ts";
import type { Ledger } from "./ledger.ts";

interface Deps {
  readonly authority: Authority;
  readonly ledger: Ledger;
  readonly nowMs: () => number;
}

/** Names with rights of their own at the broker. */
const RESERVED: readonly string[] = ["collector", "broker"];
const DAY_MS = 86_400_000;
/** All certificates are valid from a day before they were made. */
const BEFORE_MS = DAY_MS;
const MOST_A_DAY = 10;

export interface Terms {
  readonly fleet: string;
  readonly gateway: string;
  readonly brokers: readonly string[];
  readonly keys: readonly string[];
  readonly validMs: number;
  readonly certificateMs: number;
}

/** Gives a gateway what it needs to join: a text that may be used once. */
export async function enrol({ authority, ledger, nowMs }: Deps, terms: Terms, signer: Signer): Promise<string> {
  const { fleet, gateway, brokers, keys, validMs, certificateMs } = terms;
  if (!TOPIC_NAME.test(gateway) || RESERVED.includes(gateway))
    throw new EnrolError(
      "ENROL_NAME",
      { gateway },
      { hint: "Letters, digits, - and _; and neither collector nor broker." },
    );
  const [token, key, now] = [randomBytes(32).toString("base64url"), newKey(), nowMs()];
  const expiresAt = now + validMs;
  const certificate = await issuedCertificate(authority, {
    ...{ commonName: newcomerName(gateway), publicKey: createPublicKey(key), use: "client" },
    ...{ nowMs: now, notAfterMs: expiresAt },
  });
  ledger.keep(gateway, certificate);
  ledger.giveToken(token, { gateway, expiresAt, certificateMs });
  const body: Omit<Enrolment, "key" | "signature"> = {
    ...{ v: wireVersion, kind: "enrolment", fleet, gateway, brokers: [...brokers], ca: authority.certificate },
    ...{ keys: [...keys], token, issuedAt: now, expiresAt, bootstrap: { certificate, key: keyPem(key) } },
  };
  return enrolmentText(body, signer);
}

/** Who asks, as far as the way of the request shows it; a file shows nothing. */
export interface Asker {
  readonly fleet: string;
  readonly gateway: string | undefined;
}

/**
 * Signs the key of a gateway that has a token, or a certificate that still counts. Asked again for the same key it
 * gives the same certificate: an answer can get lost. Throws an EnrolError for what it refuses.
 */
export async function signRequest(
  { authority, ledger, nowMs }: Deps,
  asked: ReadCertificateRequest,
  asker: Asker,
): Promise<string> {
  const { fleet, gateway, token } = asked.body;
  if (fleet !== asker.fleet || (asker.gateway !== undefined && gateway !== asker.gateway))
    throw new EnrolError("ENROL_OTHER_NAME", { fleet, gateway });
  const request = await readOf(asked);
  if (request.commonName !== gateway) throw new EnrolError("ENROL_OTHER_NAME", { gateway, asks: request.commonName });
  const [now, keyHash] = [nowMs(), spkiHash(request.publicKey)];
  const lifeMs =
    token === undefined
      ? renewable({ authority, ledger, nowMs }, asked)
      : claimed({ ledger, nowMs }, token, gateway, keyHash);
  const given = ledger.issued(gateway);
  const same = given.find((one) => one.keyHash === keyHash && one.commonName === gateway && one.notAfterMs > now);
  if (same !== undefined) {
    if (ledger.isRevoked(same.serial)) throw new EnrolError("ENROL_REVOKED", { serial: same.serial });
    return same.pem;
  }
  const today = given.filter((one) => one.commonName === gateway && one.notBeforeMs + BEFORE_MS > now - DAY_MS);
  if (today.length >= MOST_A_DAY) throw new EnrolError("ENROL_TOO_MANY", { gateway, today: today.length });
  const pem = await issuedCertificate(authority, {
    ...{ commonName: gateway, publicKey: request.publicKey, use: "client", nowMs: now },
    notAfterMs: Math.min(now + lifeMs, authority.notAfterMs),
  });
  return ledger.keep(gateway, pem).pem;
}

async function readOf({ body }: ReadCertificateRequest): Promise<ReadRequest> {
  try {
    return await readRequest(body.request);
  } catch (cause) {
    const { detail } = cause as { detail?: { reason?: string } };
    throw new EnrolError("ENROL_REQUEST", { reason: detail?.reason }, { cause });
  }
}

/** How long a certificate for this token lives. The token is this key's from now on. */
function claimed(
  { ledger, nowMs }: Pick<Deps, "ledger" | "nowMs">,
  token: string,
  gateway: string,
  keyHash: string,
): number {
  const known = ledger.token(token);
  if (known === undefined) throw new EnrolError("ENROL_TOKEN");
  if (known.gateway !== gateway) throw new EnrolError("ENROL_OTHER_NAME", { gateway });
  if (known.expiresAt <= nowMs()) throw new EnrolError("ENROL_TOKEN_EXPIRED", { expiresAt: known.expiresAt });
  if (!ledger.useToken(token, keyHash)) throw new EnrolError("ENROL_TOKEN_USED", { gateway });
  return known.certificateMs;
}

/** How long the certificate that follows this one lives: as long as this one. */
function renewable({ authority, ledger, nowMs }: Deps, asked: ReadCertificateRequest): number {
  const { gateway, certificate } = asked.body;
  if (certificate === undefined) throw new EnrolError("ENROL_NOT_PROVEN", { gateway, reason: "no certificate" });
  const known = ledger.issued(gateway).find(({ pem }) => pem.trim() === certificate.trim());
  const refuse = (reason: string): never => {
    throw new EnrolError("ENROL_NOT_PROVEN", { gateway, reason });
  };
  if (known === undefined || !known.isSignedBy(authority.certificate)) return refuse("this fleet did not issue it");
  if (known.commonName !== gateway || !known.isForClients) return refuse("it is for somebody else");
  if (known.notAfterMs <= nowMs()) return refuse("it has expired");
  if (ledger.isRevoked(known.serial)) throw new EnrolError("ENROL_REVOKED", { serial: known.serial });
  if (!asked.isProvenBy(known.pem)) return refuse("its key did not sign the request");
  return known.notAfterMs - known.notBeforeMs - BEFORE_MS;
}
