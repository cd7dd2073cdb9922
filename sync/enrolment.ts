import { type KeyObject, sign, verify, X509Certificate } from "node:crypto";
import { z } from "zod";
import { SyncError } from "./errors.ts";
import { type FleetKeys, fleetKeys, readSigned } from "./fleet-keys.ts";
import { checked, MOST_MESSAGE_BYTES, wireVersion } from "./messages.ts";
import { type Signer, signedText } from "./signing.ts";
import { TOPIC_NAME } from "./topics.ts";

const level = z.string().regex(TOPIC_NAME);
const pem = z.string().min(1).max(16_384);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const signature = { key: z.string().optional(), signature: z.string().max(256).optional() };

/** What a fleet gives to who sets up a gateway. Whoever has it may become that gateway, once, until it expires. */
export const enrolmentSchema = z.looseObject({
  v: z.literal(wireVersion),
  kind: z.literal("enrolment"),
  fleet: level,
  gateway: level,
  brokers: z
    .array(z.string().regex(/^(mqtts|wss):\/\/[^/\s]/))
    .min(1)
    .max(8),
  /** The fleet's CA: signs the broker's certificate and the gateway's. */
  ca: pem,
  /** For `fleet.keys`. */
  keys: z.array(z.string().min(1).max(256)).min(1).max(8),
  /** 256 random bits in base64url. */
  token: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  issuedAt: z.number().int(),
  expiresAt: z.number().int(),
  /** Lets the gateway reach a broker that wants certificates, to ask for its own and for nothing else. */
  bootstrap: z.object({ certificate: pem, key: pem }),
  ...signature,
});
export type Enrolment = z.infer<typeof enrolmentSchema>;

/** A gateway asks for a certificate: with a token, or with the certificate that it has and a proof that it has its key. */
export const certificateRequestSchema = z.looseObject({
  v: z.literal(wireVersion),
  kind: z.literal("certificateRequest"),
  fleet: level,
  gateway: level,
  /** PKCS#10, PEM. */
  request: pem,
  token: z.string().max(64).optional(),
  certificate: pem.optional(),
  /** ECDSA with SHA-256 over the text without this, its last member; base64. */
  proof: z.string().max(256).optional(),
});
export type CertificateRequest = z.infer<typeof certificateRequestSchema>;

/** What became of a request: a certificate, or a code that says why not. */
export const certificateAnswerSchema = z.looseObject({
  v: z.literal(wireVersion),
  kind: z.literal("certificate"),
  fleet: level,
  gateway: level,
  /** The key that the request was for: SHA-256 over it (SPKI, DER). Empty: the request could not be read. */
  for: z.union([hash, z.literal("")]),
  now: z.number().int(),
  certificate: pem.optional(),
  refused: z.string().max(64).optional(),
  reason: z.string().max(256).optional(),
  ...signature,
});
export type CertificateAnswer = z.infer<typeof certificateAnswerSchema>;

export function enrolmentText(enrolment: Omit<Enrolment, "key" | "signature">, signer: Signer): string {
  return signedText(enrolment, signer);
}

/**
 * Reads an enrolment. It is checked with the keys that it brings, which shows that it is whole; whose it is only its way
 * here can say. A gateway that knows its fleet's keys already gives them.
 */
export function readEnrolment(text: string, known: FleetKeys = new Map()): Enrolment {
  const bytes = Buffer.from(text.trim());
  const own = checked(enrolmentSchema, readSigned(bytes, new Map()));
  readSigned(bytes, known.size > 0 ? known : fleetKeys(own.keys));
  return own;
}

/** A request as text; with a current key it ends with the proof. */
export function requestText(body: Omit<CertificateRequest, "proof">, currentKey?: KeyObject): string {
  const text = JSON.stringify(body);
  if (currentKey === undefined) return text;
  return `${text.slice(0, -1)},"proof":"${sign("sha256", Buffer.from(text), currentKey).toString("base64")}"}`;
}

export interface ReadCertificateRequest {
  readonly body: CertificateRequest;
  /** Whether the key of this certificate made the proof. */
  isProvenBy(certificatePem: string): boolean;
}

const PROOF = /,"proof":"([A-Za-z0-9+/=]+)"\}$/;

export function readCertificateRequest(payload: Uint8Array): ReadCertificateRequest {
  if (payload.byteLength > MOST_MESSAGE_BYTES)
    throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "it is too large", bytes: payload.byteLength });
  const text = Buffer.from(payload).toString("utf8").trim();
  const body = checked(certificateRequestSchema, readSigned(Buffer.from(text), new Map()));
  return {
    body,
    isProvenBy: (certificatePem) => {
      const found = PROOF.exec(text);
      if (found === null) return false;
      const signed = Buffer.from(`${text.slice(0, found.index)}}`);
      const { publicKey } = new X509Certificate(certificatePem);
      return verify("sha256", signed, publicKey, Buffer.from(found[1] ?? "", "base64"));
    },
  };
}

/** An answer to this gateway. Throws a SyncError for what is none, for somebody else, or signed by nobody who is known. */
export function readCertificateAnswer(
  payload: Uint8Array,
  keys: FleetKeys,
  to: { readonly fleet: string; readonly gateway: string },
): CertificateAnswer {
  // A file ends with a line break, and the signature with the text.
  const bytes = Buffer.from(Buffer.from(payload).toString("utf8").trim());
  const answer = checked(certificateAnswerSchema, readSigned(bytes, keys));
  if (answer.fleet === to.fleet && answer.gateway === to.gateway) return answer;
  throw new SyncError("SYNC_NOT_FOR_US", { fleet: answer.fleet, gateway: answer.gateway });
}
