import { reasonWords } from "../bus/connection-end.ts";
import type { PortOwner } from "../bus/port-owner.ts";
import type { LoggedIn, TlsFacts } from "./dialing.ts";
import { type Finding, ok, problem } from "./finding.ts";
import type { Resolved } from "./resolve-name.ts";
import type { MqttNames, Target } from "./targets.ts";

const DAY_MS = 86_400_000;
const SOON_MS = 30 * DAY_MS;
/** Bad user or password, not authorized, banned, another way of authentication: MQTT 3.1.1, 3.2.2.3; MQTT 5, 3.2.2.2. */
const REFUSES_US = new Set([4, 5, 0x86, 0x87, 0x8a, 0x8c]);

export function nameFinding(host: string, resolved: Resolved, resolvConf: string): Finding {
  const check = "connectivity.names";
  if (resolved.kind === "addresses") return ok(check, resolved.addresses.slice(0, 3).join(", "), host);
  const servers = [...resolvConf.matchAll(/^nameserver\s+(\S+)/gm)].map((found) => found[1]).join(", ");
  const told = {
    subject: host,
    expected: "an address",
    values: { host, servers: servers === "" ? "none named" : servers },
  };
  if (resolved.kind === "unknown") return problem(check, "unknown", { ...told, found: "no such name" });
  return problem(check, "silent", { ...told, found: `no answer from ${told.values.servers} (${resolved.why})` });
}

/** `stop`: where the connection went, which may be a proxy. */
export function reachFinding(
  subject: string,
  stop: { readonly host: string; readonly port: number },
  address: string,
  code: string | undefined,
): Finding {
  const check = "connectivity.reach";
  const { host, port } = stop;
  if (code === undefined) return ok(check, `${address} port ${port} answers`, subject);
  const told = { subject, expected: "a connection", values: { host, port, address } };
  const found = `${address} port ${port}: ${code}`;
  if (code === "ECONNREFUSED" || code === "ECONNRESET") return problem(check, "refused", { ...told, found });
  if (code === "PROXY") return problem(check, "proxy", { ...told, found: "the proxy refuses" });
  if (code === "ETIMEDOUT")
    return problem(check, "silent", { ...told, found: `${address} port ${port}: no answer within 4 s` });
  return problem(check, "unreachable", { ...told, found });
}

/** What is wrong with a server's certificate: its dates first, since a wrong clock makes everything else wrong too. */
export function tlsFinding({ subject, host, port, tls }: Target, facts: TlsFacts, nowMs: number): Finding {
  const check = "connectivity.tls";
  const { notBeforeMs, notAfterMs, refusal, names, protocol } = facts;
  const values = { host, port, key: tls?.caKey ?? "caFile" };
  const until = new Date(notAfterMs).toISOString().slice(0, 10);
  if (nowMs < notBeforeMs) {
    const found = `valid from ${iso(notBeforeMs)}; now it is ${iso(nowMs)}`;
    return problem(check, "not-yet-valid", { subject, found, expected: "a certificate that is valid now" });
  }
  if (nowMs > notAfterMs)
    return problem(check, "expired", {
      subject,
      found: `it ended at ${iso(notAfterMs)}`,
      expected: "a valid certificate",
    });
  if (refusal === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const expected = tls?.serverName ?? host;
    return problem(check, "wrong-name", { subject, found: `it is for ${names}`, expected });
  }
  if (refusal === "CERT_HAS_EXPIRED")
    return problem(check, "expired", { subject, found: "a CA above it has expired", expected: "a valid CA" });
  if (refusal === "CERT_NOT_YET_VALID")
    return problem(check, "not-yet-valid", {
      subject,
      found: "a CA above it is not valid yet",
      expected: "a valid CA",
    });
  if (refusal !== undefined) {
    const expected = tls?.ca === undefined ? "signed by a CA of the system" : `signed by the CA in ${tls.ca}`;
    return problem(check, "untrusted", { subject, found: refusal, expected, values });
  }
  if (notAfterMs - nowMs < SOON_MS) {
    const found = `it ends ${until}, in ${Math.floor((notAfterMs - nowMs) / DAY_MS)} days`;
    return problem(check, "expires-soon", { subject, found, expected: "at least 30 days", values });
  }
  return ok(check, `${protocol}, valid until ${until}`, subject);
}

export function tlsFailure({ subject, host, port }: Target, code: string): Finding {
  return problem("connectivity.tls", "failed", { subject, found: code, expected: "TLS", values: { host, port } });
}

export interface OwnCertificate {
  readonly key: string;
  readonly file: string;
  readonly keyFile: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly fitsKey: boolean;
}

export function ownCertificateFinding(own: OwnCertificate, nowMs: number): Finding {
  const check = "connectivity.certificate";
  const { key, file, keyFile, notBeforeMs, notAfterMs, fitsKey } = own;
  const subject = `${key} (${file})`;
  const values = { file, key: keyFile };
  const expected = "a certificate that is valid now";
  if (nowMs < notBeforeMs)
    return problem(check, "not-yet-valid", {
      subject,
      found: `valid from ${iso(notBeforeMs)}; now it is ${iso(nowMs)}`,
      expected,
    });
  if (nowMs > notAfterMs)
    return problem(check, "expired", { subject, found: `it ended at ${iso(notAfterMs)}`, expected, values });
  if (!fitsKey)
    return problem(check, "mismatched", {
      subject,
      found: `the key in ${keyFile} is another one`,
      expected: "the certificate's key",
      values,
    });
  const days = Math.floor((notAfterMs - nowMs) / DAY_MS);
  if (notAfterMs - nowMs < SOON_MS)
    return problem(check, "expires-soon", {
      subject,
      found: `it ends ${iso(notAfterMs)}, in ${days} days`,
      expected: "at least 30 days",
      values,
    });
  return ok(check, `valid for ${days} days`, subject);
}

export function loginFinding(
  { subject, host, port }: Target,
  { scheme, keys, username }: MqttNames,
  answer: LoggedIn,
): Finding {
  const check = "connectivity.login";
  const values = { host, port, scheme, keys };
  const expected = "the broker takes us";
  if (answer.kind === "code") {
    const { code, hasSession } = answer;
    const sharedWords = { subject, found: "doctor got the daemon's session", expected: "one of its own", values };
    if (code === 0 && hasSession) return problem(check, "shared", sharedWords);
    if (code === 0) return ok(check, username === undefined ? "taken" : `taken as ${username}`, subject);
    const found = `CONNACK 0x${code.toString(16).padStart(2, "0")}: ${reasonWords(code)}`;
    return problem(check, REFUSES_US.has(code) ? "refused" : "unwilling", { subject, found, expected, values });
  }
  if (answer.kind === "failed" && answer.code.startsWith("ERR_SSL"))
    return tlsFailure({ subject, host, port } as Target, answer.code);
  const found =
    answer.kind === "failed"
      ? answer.code === "ETIMEDOUT"
        ? "no CONNACK within 4 s"
        : answer.code
      : "it does not speak MQTT";
  return problem(check, "silent", { subject, found, expected, values });
}

/** `isOurs`: the process that listens is this daemon. */
export function portFinding(port: number, isTaken: boolean, isOurs: boolean, owner: PortOwner | undefined): Finding {
  const check = "connectivity.port";
  if (!isTaken) return ok(check, `${port} is free`);
  if (isOurs) return ok(check, `${port} is held by this daemon`);
  const found =
    owner === undefined ? "a process of another user has it" : `process ${owner.pid} (${owner.program}) has it`;
  return problem(check, "taken", {
    subject: `port ${port}`,
    found,
    expected: "free, or held by this daemon",
    values: { port },
  });
}

function iso(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(".000Z", "Z");
}
