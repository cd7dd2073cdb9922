// Takes a new pair into use, and dies at a crashpoint on the way.
import { createPublicKey } from "node:crypto";

const { dist, directory, crashpoint, issuer } = JSON.parse(process.argv[2]);
const { IdentityFiles } = await import(`${dist}/daemon/enrol/identity-files.js`);
const { armCrashpoint } = await import(`${dist}/daemon/crashpoint.js`);
const { issuedCertificate } = await import(`${dist}/sync/certificates.js`);
const { createPrivateKey } = await import("node:crypto");

armCrashpoint(crashpoint);
const files = new IdentityFiles(directory);
const publicKey = createPublicKey(files.nextKey());
const nowMs = Date.now();
const certificate = await issuedCertificate(
  { name: "ca", key: createPrivateKey(issuer) },
  { commonName: "plant-7", publicKey, use: "client", nowMs, notAfterMs: nowMs + 86_400_000 },
);
files.finish(certificate, "ca");
