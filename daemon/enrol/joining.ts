import { createHash } from "node:crypto";
import { chownSync, lchownSync, lstatSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import { certificateFacts, spkiHash } from "../../sync/certificate-facts.ts";
import { type Enrolment, readCertificateAnswer, requestText } from "../../sync/enrolment.ts";
import { type FleetKeys, fleetKeys } from "../../sync/fleet-keys.ts";
import { wireVersion } from "../../sync/messages.ts";
import { JoinError } from "./errors.ts";
import type { Identity, IdentityFiles } from "./identity-files.ts";

/** The request with which a gateway joins: its key is made here, and what goes out is signed by it. */
export async function firstRequest(files: IdentityFiles, { fleet, gateway, token }: Enrolment): Promise<string> {
  // Loaded only now: the daemon does without it but for some minutes in a year.
  const { certificateRequest } = await import("../../sync/certificates.ts");
  const request = await certificateRequest(gateway, files.nextKey());
  return requestText({ v: wireVersion, kind: "certificateRequest", fleet, gateway, request, token });
}

export interface Expected {
  readonly fleet: string;
  readonly gateway: string;
  /** PEM of the CA that has to have signed it. */
  readonly ca: string;
  readonly keys: FleetKeys;
}

/**
 * The certificate in an answer, once everything about it fits: who says so, for whom it is, who signed it and for which
 * key. Throws JOIN_REFUSED with the fleet's code, JOIN_ANSWER, or a SyncError.
 */
export function certificateIn(payload: Uint8Array, keyHash: string, { fleet, gateway, ca, keys }: Expected): string {
  const answer = readCertificateAnswer(payload, keys, { fleet, gateway });
  const wrong = (reason: string): never => {
    throw new JoinError("JOIN_ANSWER", { reason });
  };
  if (answer.for !== "" && answer.for !== keyHash) wrong("it answers another request");
  if (answer.refused !== undefined)
    throw new JoinError(
      "JOIN_REFUSED",
      { why: answer.refused, reason: answer.reason },
      { hint: hints[answer.refused] },
    );
  const { certificate = "" } = answer;
  const facts = certificateFacts(certificate);
  if (facts.keyHash !== keyHash) wrong("its certificate is for another key");
  if (facts.commonName !== gateway || !facts.isForClients) wrong("its certificate is for somebody else");
  if (!facts.isSignedBy(ca)) wrong("the fleet's CA has not signed its certificate");
  return certificate;
}

const NEW_ONE = "Ask for a new enrolment: holdfast-fleet enroll NAME.";
const hints: Readonly<Record<string, string>> = {
  ENROL_TOKEN: NEW_ONE,
  ENROL_TOKEN_USED: `${NEW_ONE} If nobody here used it, somebody else did: holdfast-fleet revoke NAME.`,
  ENROL_TOKEN_EXPIRED: NEW_ONE,
  ENROL_REVOKED: "The fleet has revoked this gateway.",
};

/** Takes the answer to the first request; from now on the gateway is one of the fleet. */
export function joined(files: IdentityFiles, enrolment: Enrolment, payload: Uint8Array): Identity {
  const { fleet, gateway, ca } = enrolment;
  const keys = fleetKeys(enrolment.keys);
  const certificate = certificateIn(payload, spkiHash(files.nextKey()), { fleet, gateway, ca, keys });
  return files.finish(certificate, ca, enrolmentName(enrolment));
}

/** Names an enrolment without telling its token: SHA-256 over it, in hex. */
export function enrolmentName({ token }: Enrolment): string {
  return createHash("sha256").update(token).digest("hex");
}

/** What the gateway's file has to say. Paths are as short as they can be. */
export function fleetSection(
  { fleet, gateway, brokers, keys }: Enrolment,
  files: IdentityFiles,
  baseDirectory: string,
) {
  const { ca, certificate, key } = files.paths;
  const near = (path: string): string => {
    const short = relative(baseDirectory, path);
    return short.startsWith("..") || isAbsolute(short) ? path : short;
  };
  return { name: fleet, gateway, brokers, tls: { ca: near(ca), certificate: near(certificate), key: near(key) }, keys };
}

/** Makes the data directory where none is yet. */
export function prepared(dataDirectory: string): string {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o750 });
  return dataDirectory;
}

/** Done as root, the files are still the daemon's: they go to whom the data directory belongs. */
export function giveToOwner(folder: string, dataDirectory: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dataDirectory);
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" }))
    lchownSync(join(folder, entry), uid, gid);
  chownSync(folder, uid, gid);
}

/** A file that was written anew belongs to whom it belonged before. */
export function keepOwner(path: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  if (process.getuid?.() === 0 && !lstatSync(path).isSymbolicLink()) chownSync(path, uid, gid);
}
