import { spawnSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { certificateFacts, fits, keyPem, newKey, spkiHash } from "../../sync/certificate-facts.ts";
import {
  authorityCertificate,
  certificateRequest,
  issuedCertificate,
  readRequest,
  revocationList,
} from "../../sync/certificates.ts";

const NOW = Date.parse("2026-11-28T08:00:00Z");
const DAY_MS = 86_400_000;
const issuer = { name: "Holdfast fleet north", key: newKey() };
const key = newKey();
const publicKey = createPublicKey(key);

describe("certificates", () => {
  let folder = "";
  let ca = "";
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-certificates-"));
    ca = await authorityCertificate(issuer, NOW, NOW + 3650 * DAY_MS);
    writeFileSync(join(folder, "ca.pem"), ca);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** What openssl says: another implementation of it all. */
  function verified(pem: string, ...more: string[]): string {
    writeFileSync(join(folder, "one.pem"), pem);
    const at = ["-attime", String(NOW / 1000), "-CAfile", "ca.pem"];
    const done = spawnSync("openssl", ["verify", "-x509_strict", ...at, ...more, "one.pem"], { cwd: folder });
    return `${done.stdout}${done.stderr}`;
  }

  const client = (commonName = "plant-7", notAfterMs = NOW + 90 * DAY_MS) =>
    issuedCertificate(issuer, { commonName, publicKey, use: "client", nowMs: NOW, notAfterMs });

  test("of clients and servers are what openssl takes for them, and for nothing else", async () => {
    const own = await client();
    expect(verified(own, "-purpose", "sslclient")).toContain("OK");
    expect(verified(own, "-purpose", "sslserver")).toContain("unsuitable certificate purpose");
    const hosts = ["broker.fleet.example", "192.0.2.7", "2001:db8::7"];
    const times = { nowMs: NOW, notAfterMs: NOW + DAY_MS };
    const server = await issuedCertificate(issuer, { commonName: "broker", publicKey, use: "server", hosts, ...times });
    for (const host of hosts.slice(1))
      expect(verified(server, "-purpose", "sslserver", "-verify_ip", host)).toContain("OK");
    expect(verified(server, "-verify_hostname", "broker.fleet.example")).toContain("OK");
    expect(verified(server, "-verify_hostname", "other.example")).toContain("hostname mismatch");
    expect(verified(server, "-purpose", "sslclient")).toContain("unsuitable certificate purpose");
  });

  test("say their name, times and key, and who signed them", async () => {
    const pem = await client();
    const facts = certificateFacts(pem);
    expect(facts).toMatchObject({ commonName: "plant-7", isForClients: true, keyHash: spkiHash(key) });
    expect([facts.notBeforeMs, facts.notAfterMs]).toEqual([NOW - DAY_MS, NOW + 90 * DAY_MS]);
    expect(facts.isSignedBy(ca)).toBe(true);
    const other = { name: issuer.name, key: newKey() };
    expect(facts.isSignedBy(await authorityCertificate(other, NOW, NOW + DAY_MS))).toBe(false);
    expect([fits(keyPem(key), pem), fits(keyPem(newKey()), pem), fits("x", pem)]).toEqual([true, false, false]);
    expect(() => certificateFacts("x")).toThrow(expect.objectContaining({ code: "SYNC_CERTIFICATE" }));
  });

  test("have numbers of their own, and a name is a name whatever is in it", async () => {
    const serials = await Promise.all(Array.from({ length: 50 }, async () => certificateFacts(await client()).serial));
    expect(new Set(serials).size).toBe(50);
    expect(serials.filter((serial) => !/^[4-7][0-9a-f]{31}$/.test(serial))).toEqual([]);
    expect(certificateFacts(await client("enrol:plant-7")).commonName).toBe("enrol:plant-7");
    for (const name of ["a, CN=collector", 'x"+CN=collector', "CN=collector", "a\nCN=collector"])
      expect(certificateFacts(await client(name)).commonName).toBe("");
  });

  test("are read without harm to what the process does next", () => {
    const read = "import('./sync/certificate-facts.js').then(({ certificateFacts: f }) => f(process.argv[1]))";
    const next =
      "import('node:tls').then(({ connect }) => connect(1, '127.0.0.1').on('error', (e) => console.log(e.code)))";
    const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
    const done = spawnSync(process.execPath, ["-e", `${read}.then(() => ${next})`, "--", ca], {
      cwd: dist,
      encoding: "utf8",
    });
    expect([done.stdout.trim(), done.stderr]).toEqual(["ECONNREFUSED", ""]);
  });

  test("that are on the list of the revoked are refused by openssl, and others are not", async () => {
    const [own, other] = [await client(), await client("plant-8")];
    const { serial } = certificateFacts(own);
    writeFileSync(join(folder, "none.pem"), await revocationList(issuer, [], NOW, NOW + 3650 * DAY_MS));
    writeFileSync(
      join(folder, "crl.pem"),
      await revocationList(issuer, [{ serial, atMs: NOW }], NOW, NOW + 3650 * DAY_MS),
    );
    expect(verified(own, "-crl_check", "-CRLfile", "none.pem")).toContain("OK");
    expect(verified(own, "-crl_check", "-CRLfile", "crl.pem")).toContain("certificate revoked");
    expect(verified(other, "-crl_check", "-CRLfile", "crl.pem")).toContain("OK");
  });
});

describe("a request for a certificate", () => {
  test("carries its name and key, and is what openssl reads", async () => {
    const request = await certificateRequest("plant-7", key);
    const read = await readRequest(request);
    expect([read.commonName, spkiHash(read.publicKey)]).toEqual(["plant-7", spkiHash(key)]);
    const seen = spawnSync("openssl", ["req", "-verify", "-noout", "-subject"], { input: request });
    expect(`${seen.stdout}${seen.stderr}`).toMatch(/subject=CN ?= ?plant-7/);
    expect(seen.status).toBe(0);
  });

  test("is refused where its key did not sign it, or is of another kind", async () => {
    const request = await certificateRequest("plant-7", key);
    const der = Buffer.from(request.replaceAll(/-----.*?-----|\s/g, ""), "base64");
    const armoured = (bytes: Buffer) =>
      `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    expect((await readRequest(armoured(der))).commonName).toBe("plant-7");
    // Each byte changed: whatever it is then, it is nothing that this key signed.
    let refused = 0;
    for (let at = 0; at < der.length; at++) {
      const changed = Buffer.from(der);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const result = await readRequest(armoured(changed)).catch((error: { code?: string }) => error.code);
      if (result === "SYNC_REQUEST") refused += 1;
      else expect({ at, result }).toEqual({ at, result: expect.objectContaining({ commonName: "plant-7" }) });
    }
    expect(refused).toBeGreaterThan(der.length - 3);
    const make = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", "/dev/null"];
    const other = spawnSync("openssl", ["req", "-new", ...make, "-subj", "/CN=plant-7"]).stdout.toString();
    expect(other).toContain("BEGIN CERTIFICATE REQUEST");
    for (const text of ["", "x", other, request.slice(0, 200), "A".repeat(10_000)])
      await expect(readRequest(text)).rejects.toMatchObject({ code: "SYNC_REQUEST" });
  });
});
