import type { IClientOptions } from "mqtt";
import type { BusConfig } from "../../config/bus.ts";
import type { NamedFiles } from "./named-files.ts";

/** By what we and the broker know each other. */
export interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly ca: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly serverName: string | undefined;
}

/** Files are read anew for each attempt: a renewed certificate needs no restart. Throws when one can not be used. */
export function readCredentials(config: Extract<BusConfig, { kind: "external" }>, files: NamedFiles): Credentials {
  const { tls, username, passwordFile } = config;
  return {
    username,
    password: passwordFile === undefined ? undefined : files.secret(passwordFile),
    ca: tls?.caFile === undefined ? undefined : files.text(tls.caFile),
    certificate: tls?.certificateFile === undefined ? undefined : files.text(tls.certificateFile),
    key: tls?.keyFile === undefined ? undefined : files.secret(tls.keyFile),
    serverName: tls?.serverName,
  };
}

/** What is wrong with a file, and what to do about it. */
export function fileProblem(error: unknown): string {
  const { message, detail, hint } = error as Error & { detail?: { file?: unknown }; hint?: string };
  const file = detail?.file === undefined ? "" : ` (${String(detail.file)})`;
  return `${message}${file}${hint === undefined ? "" : ` ${hint}`}`;
}

/** The same as options of MQTT.js. */
export function credentialOptions(credentials: Credentials): IClientOptions {
  const { username, password, ca, certificate, key, serverName } = credentials;
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}
