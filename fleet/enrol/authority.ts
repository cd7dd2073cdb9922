import { createPrivateKey } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { certificateFacts, fits, keyPem, newKey } from "../../sync/certificate-facts.ts";
import { authorityCertificate, type Issuer } from "../../sync/certificates.ts";
import { EnrolError } from "./errors.ts";
import { makeFolder, writeOnce } from "./kept.ts";

const READ_BY_OTHERS = 0o077;
const YEAR_MS = 365 * 86_400_000;
const YEARS = 10;

/** A fleet's CA, as it lies in its folder. */
export interface Authority extends Issuer {
  readonly folder: string;
  /** PEM. */
  readonly certificate: string;
  readonly notAfterMs: number;
}

export function hasAuthority(folder: string): boolean {
  return existsSync(join(folder, "ca.key"));
}

/** Makes the CA of a fleet: its key never leaves the folder. Throws ENROL_EXISTS where one is. */
export async function makeAuthority(folder: string, fleet: string, nowMs: number): Promise<Authority> {
  if (hasAuthority(folder))
    throw new EnrolError(
      "ENROL_EXISTS",
      { folder },
      { hint: "Its CA is what all its gateways trust: it is left alone." },
    );
  makeFolder(folder, 0o700);
  const [key, name] = [newKey(), `Holdfast fleet ${fleet}`];
  const certificate = await authorityCertificate({ name, key }, nowMs, nowMs + YEARS * YEAR_MS);
  // The key last: with it the folder holds a CA.
  writeOnce(join(folder, "ca.pem"), certificate, 0o644);
  if (!writeOnce(join(folder, "ca.key"), keyPem(key), 0o600)) throw new EnrolError("ENROL_EXISTS", { folder });
  return readAuthority(folder);
}

export function readAuthority(folder: string): Authority {
  const file = join(folder, "ca.key");
  try {
    if ((statSync(file).mode & READ_BY_OTHERS) !== 0)
      throw new EnrolError(
        "ENROL_AUTHORITY",
        { file, reason: "others may read it" },
        { hint: `Run: chmod 600 ${file}` },
      );
    const [certificate, key] = [readFileSync(join(folder, "ca.pem"), "utf8"), readFileSync(file, "utf8")];
    if (!fits(key, certificate)) throw new EnrolError("ENROL_AUTHORITY", { folder, reason: "ca.key is not ca.pem's" });
    const { commonName, notAfterMs } = certificateFacts(certificate);
    return { folder, certificate, notAfterMs, name: commonName, key: createPrivateKey(key) };
  } catch (cause) {
    if (cause instanceof EnrolError) throw cause;
    const hint = "`holdfast-fleet init` makes one; name its folder with --ca where it is elsewhere.";
    throw new EnrolError("ENROL_AUTHORITY", { folder }, { cause, hint });
  }
}
