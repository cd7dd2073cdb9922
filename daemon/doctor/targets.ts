import { isIP } from "node:net";
import type { Config } from "../../config/load.ts";

/** Names of the files for TLS, as the configuration has them. */
export interface TlsNames {
  readonly serverName: string | undefined;
  readonly ca: string | undefined;
  /** The key that names the CA. */
  readonly caKey: string;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

export interface MqttNames {
  readonly scheme: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly keys: string;
}

/** Somewhere that the gateway connects to. */
export interface Target {
  readonly subject: string;
  readonly host: string;
  readonly port: number;
  readonly proxy: string | undefined;
  readonly tls: TlsNames | undefined;
  readonly mqtt: MqttNames | undefined;
}

const PORTS: Readonly<Record<string, number>> = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443, http: 80, https: 443 };
const SECURE = new Set(["mqtts", "wss", "https"]);

/** Everything that a configuration connects to. */
export function targetsOf({ gateway }: Config): readonly Target[] {
  const { bus, fleet, endpoints, mail } = gateway;
  const targets: Target[] = [];
  if (bus.kind === "external") {
    const { tls, username, passwordFile: password, url } = bus;
    const names = {
      serverName: tls?.serverName,
      ca: tls?.caFile,
      certificate: tls?.certificateFile,
      key: tls?.keyFile,
    };
    const keys = "bus.username, bus.passwordFile or bus.tls";
    targets.push(target(url, { ...names, caKey: "bus.tls.caFile" }, { username, password, keys }));
  }
  for (const url of fleet?.brokers ?? []) {
    const { tls, username, passwordFile: password, proxy } = fleet ?? {};
    const names = { serverName: tls?.serverName, ca: tls?.ca, certificate: tls?.certificate, key: tls?.key };
    const keys = "fleet.username, fleet.passwordFile or fleet.tls";
    targets.push({ ...target(url, { ...names, caKey: "fleet.tls.ca" }, { username, password, keys }), proxy });
  }
  for (const [name, { url, caFile: ca }] of Object.entries(endpoints))
    targets.push(target(url, { ...noNames, ca, caKey: `endpoints.${name}.caFile` }, undefined));
  if (mail !== undefined) {
    const { host, port, security, caFile: ca } = mail;
    const tls = security === "tls" ? { ...noNames, ca, caKey: "mail.caFile" } : undefined;
    targets.push({ subject: `mail ${host}:${port}`, host, port, proxy: undefined, tls, mqtt: undefined });
  }
  return targets;
}

const noNames = { serverName: undefined, ca: undefined, certificate: undefined, key: undefined };

function target(url: string, tls: TlsNames, mqtt: Omit<MqttNames, "scheme"> | undefined): Target {
  const { protocol, hostname, port, host } = new URL(url);
  const scheme = protocol.slice(0, -1);
  const number = port === "" ? (PORTS[scheme] ?? 0) : Number(port);
  return {
    // Not the whole address: a path or a query may be as good as a password.
    subject: `${scheme}://${port === "" ? `${host}:${number}` : host}`,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: number,
    proxy: undefined,
    tls: SECURE.has(scheme) ? tls : undefined,
    mqtt: mqtt === undefined ? undefined : { ...mqtt, scheme },
  };
}

/** Where the TCP connection goes: the proxy, where there is one. */
export function firstStop({ host, port, proxy }: Target): { readonly host: string; readonly port: number } {
  if (proxy === undefined) return { host, port };
  const url = new URL(proxy);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 80) };
}

export function isName(host: string): boolean {
  return isIP(host) === 0;
}
