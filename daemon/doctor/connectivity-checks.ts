import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import type { Socket } from "node:net";
import { certificateFacts, fits } from "../../sync/certificate-facts.ts";
import { throughProxy } from "../../sync/proxy.ts";
import { listeningInodes, portOwner } from "../bus/port-owner.ts";
import { storeFiles } from "../store/files.ts";
import type { Check } from "./check.ts";
import {
  loginFinding,
  nameFinding,
  ownCertificateFinding,
  portFinding,
  reachFinding,
  tlsFailure,
  tlsFinding,
} from "./connectivity.ts";
import { credentialPlace, credentialText } from "./credentials.ts";
import { dialTcp, login, secure } from "./dialing.ts";
import { type Finding, ok, problem, skipped } from "./finding.ts";
import { type Resolved, resolveName } from "./resolve-name.ts";
import { lockHolder } from "./service.ts";
import { type Site, textOf } from "./site.ts";
import { firstStop, isName, type Target, targetsOf } from "./targets.ts";

const STEP_MS = 4000;
const OF_TARGETS = ["connectivity.names", "connectivity.reach", "connectivity.tls", "connectivity.login"] as const;
const WANTS_OTHER_VERSION = new Set([1, 0x84]);

export const connectivityChecks: readonly Check[] = [
  { tells: ["connectivity.port"], withinMs: 3000, look: port },
  { tells: ["connectivity.certificate"], withinMs: 3000, look: ownCertificates },
  { tells: OF_TARGETS, withinMs: 23_000, look: targets },
];

function port({ loaded, dataDirectory, unit, status }: Site): readonly Finding[] {
  const bus = loaded?.config.gateway.bus;
  if (bus === undefined) return [skipped("connectivity.port", "the configuration is not known")];
  if (bus.kind !== "embedded") return [skipped("connectivity.port", "the bus is another broker's")];
  const tables = `${textOf("/proc/net/tcp")}\n${textOf("/proc/net/tcp6")}`;
  const isTaken = listeningInodes(tables, bus.port).length > 0;
  const owner = portOwner(bus.port);
  const lock = statSync(storeFiles(dataDirectory).lock, { throwIfNoEntry: false });
  const holder = lock === undefined ? undefined : lockHolder(textOf("/proc/locks"), lock.dev, lock.ino);
  const ours = [holder, Number(unit?.["MainPID"] ?? 0)].filter((pid) => pid !== undefined && pid > 0);
  const isOurs =
    owner === undefined ? status?.bus.kind === "embedded" && status.bus.connected : ours.includes(owner.pid);
  return [portFinding(bus.port, isTaken, isOurs, owner)];
}

function ownCertificates(site: Site): readonly Finding[] {
  const check = "connectivity.certificate";
  if (site.loaded === undefined) return [skipped(check, "the configuration is not known")];
  const { bus, fleet } = site.loaded.config.gateway;
  const external = bus.kind === "external" ? bus.tls : undefined;
  const all = [
    { key: "bus.tls.certificateFile", certificate: external?.certificateFile, own: external?.keyFile },
    { key: "fleet.tls.certificate", certificate: fleet?.tls.certificate, own: fleet?.tls.key },
  ];
  const named = all.filter((one) => one.certificate !== undefined);
  if (named.length === 0) return [skipped(check, "this gateway has none")];
  return named.map(({ key, certificate = "", own = "" }) => {
    const file = credentialPlace(certificate, site).path;
    const keyFile = own === "" ? "" : credentialPlace(own, site).path;
    const [pem, keyText] = [credentialText(certificate, site), own === "" ? undefined : credentialText(own, site)];
    if (pem === undefined) return skipped(check, "the file can not be read: see configuration.credentials", key);
    try {
      const { notBeforeMs, notAfterMs } = certificateFacts(pem);
      const fitsKey = keyText === undefined || fits(keyText, pem);
      return ownCertificateFinding({ key, file, keyFile, notBeforeMs, notAfterMs, fitsKey }, Date.now());
    } catch {
      const expected = "a certificate in PEM";
      return problem(check, "unreadable", {
        subject: `${key} (${file})`,
        found: "no certificate",
        expected,
        values: { file },
      });
    }
  });
}

async function targets(site: Site): Promise<readonly Finding[]> {
  if (site.loaded === undefined) return OF_TARGETS.map((id) => skipped(id, "the configuration is not known"));
  const all = targetsOf(site.loaded.config);
  const names = new Map<string, Promise<Resolved>>();
  for (const { host } of all.map(firstStop)) if (isName(host) && !names.has(host)) names.set(host, resolveName(host));
  const found = await Promise.all(all.map((target) => one(target, site, names.get(firstStop(target).host))));
  const resolvConf = textOf("/etc/resolv.conf");
  const told = await Promise.all(
    [...names].map(async ([host, resolved]) => nameFinding(host, await resolved, resolvConf)),
  );
  const findings = [...told, ...found.flat()];
  const nothing = {
    "connectivity.names": "no name to look up",
    "connectivity.reach": "nothing to connect to",
    "connectivity.tls": "no connection with TLS",
    "connectivity.login": "no broker to log in to",
  };
  const missing = OF_TARGETS.filter((id) => !findings.some(({ check }) => check === id));
  return [...findings, ...missing.map((id) => ok(id, nothing[id]))];
}

/** One connection, as far as it comes; what comes after the step that fails is skipped. */
async function one(target: Target, site: Site, resolving: Promise<Resolved> | undefined): Promise<readonly Finding[]> {
  const { subject, tls, mqtt, proxy } = target;
  const stop = firstStop(target);
  const rest = (why: string, from: "connectivity.reach" | "connectivity.tls" | "connectivity.login"): Finding[] =>
    OF_TARGETS.slice(OF_TARGETS.indexOf(from))
      .filter(
        (id) => (id !== "connectivity.tls" || tls !== undefined) && (id !== "connectivity.login" || mqtt !== undefined),
      )
      .map((id) => skipped(id, why, subject));
  const resolved: Resolved = (await resolving) ?? { kind: "addresses", addresses: [stop.host] };
  if (resolved.kind !== "addresses") return rest("its name has no address", "connectivity.reach");
  const [address = ""] = resolved.addresses;
  const dialled = await dialTcp(resolved.addresses, stop.port, STEP_MS);
  if (!dialled.ok)
    return [reachFinding(subject, stop, address, dialled.code), ...rest("there is no connection", "connectivity.tls")];
  let { socket } = dialled;
  try {
    if (proxy !== undefined && !(await passes(socket, proxy, `${target.host}:${target.port}`)))
      return [reachFinding(subject, target, address, "PROXY"), ...rest("there is no connection", "connectivity.tls")];
    const findings = [reachFinding(subject, stop, address, undefined)];
    if (tls !== undefined) {
      const files = tlsFiles(target, site);
      if (files === undefined)
        return [
          ...findings,
          ...rest("a file for TLS can not be read: see configuration.credentials", "connectivity.tls"),
        ];
      const secured = await secure(socket, files, STEP_MS);
      if (!secured.ok)
        return [...findings, tlsFailure(target, secured.code), ...rest("TLS is not agreed", "connectivity.login")];
      const finding = tlsFinding(target, secured.facts, Date.now());
      findings.push(finding);
      // A password is not for a server that may be another one.
      if (finding.level === "error") return [...findings, ...rest("the server is not trusted", "connectivity.login")];
      ({ socket } = secured);
    }
    return mqtt === undefined ? findings : [...findings, await loginOver(socket, target, site)];
  } finally {
    setTimeout(() => socket.destroy(), 200).unref();
  }
}

async function loginOver(socket: Socket, target: Target, site: Site): Promise<Finding> {
  const { mqtt, subject } = target;
  if (mqtt === undefined || mqtt.scheme.startsWith("ws"))
    return skipped("connectivity.login", "not tried over WebSocket", subject);
  const password = mqtt.password === undefined ? undefined : credentialText(mqtt.password, site);
  if (mqtt.password !== undefined && password === undefined)
    return skipped("connectivity.login", "the password can not be read: see configuration.credentials", subject);
  const clientId = `holdfast-doctor-${randomBytes(4).toString("hex")}`;
  const words = { clientId, username: mqtt.username, password: password?.replace(/\r?\n$/, "") };
  const answer = await login(socket, 5, words, STEP_MS);
  const isOld =
    (answer.kind === "code" && WANTS_OTHER_VERSION.has(answer.code)) ||
    (answer.kind === "failed" && answer.code === "CLOSED");
  if (!isOld || target.proxy !== undefined) return loginFinding(target, mqtt, answer);
  const older = await again(target, site, words);
  // The session that it left there is its own, and goes.
  if (older?.kind === "code" && older.code === 0 && !older.hasSession) await again(target, site, words, true);
  return loginFinding(target, mqtt, older ?? answer);
}

/** A new connection, with MQTT 3.1.1: some brokers hang up on the other version. */
async function again(
  target: Target,
  site: Site,
  words: Parameters<typeof login>[2],
  isLast = false,
): Promise<Awaited<ReturnType<typeof login>> | undefined> {
  const resolved = isName(target.host) ? await resolveName(target.host) : undefined;
  const addresses = resolved === undefined ? [target.host] : resolved.kind === "addresses" ? resolved.addresses : [];
  const dialled = await dialTcp(addresses, target.port, STEP_MS / 2);
  if (!dialled.ok) return undefined;
  const files = target.tls === undefined ? undefined : tlsFiles(target, site);
  if (files === undefined) return login(dialled.socket, 4, words, STEP_MS / 2, isLast);
  const secured = await secure(dialled.socket, files, STEP_MS / 2);
  return secured.ok ? login(secured.socket, 4, words, STEP_MS / 2, isLast) : undefined;
}

function tlsFiles({ tls, host }: Target, site: Site) {
  const read = (name: string | undefined): string | undefined =>
    name === undefined ? undefined : credentialText(name, site);
  const [ca, certificate, key] = [read(tls?.ca), read(tls?.certificate), read(tls?.key)];
  const isMissing =
    (tls?.ca !== undefined && ca === undefined) || (tls?.certificate !== undefined && certificate === undefined);
  if (isMissing || (tls?.key !== undefined && key === undefined)) return undefined;
  return { host, serverName: tls?.serverName, ca, certificate, key };
}

async function passes(socket: Socket, proxy: string, to: string): Promise<boolean> {
  const late = setTimeout(() => socket.destroy(new Error("the proxy does not answer")), STEP_MS);
  try {
    await throughProxy(socket, proxy, to);
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(late);
  }
}
