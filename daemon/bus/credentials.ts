import { createSecureContext } from "node:tls";
import type { IClientOptions } from "mqtt";
import type { BusConfig } from "../../config/bus.ts";
import { BusError } from "./errors.ts";
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
  const ca = tls?.caFile === undefined ? undefined : files.text(tls.caFile);
  const certificate = tls?.certificateFile === undefined ? undefined : files.text(tls.certificateFile);
  const key = tls?.keyFile === undefined ? undefined : files.secret(tls.keyFile);
  assertFit(ca, certificate, key, tls?.certificateFile ?? tls?.caFile);
  const password = passwordFile === undefined ? undefined : files.secret(passwordFile);
  return { username, password, ca, certificate, key, serverName: tls?.serverName };
}

/** The client library would throw where nobody listens: a renewal may have replaced one of two files so far. */
function assertFit(
  ca: string | undefined,
  cert: string | undefined,
  key: string | undefined,
  file: string | undefined,
): void {
  try {
    createSecureContext({ ca, cert, key });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const hint = `Put the key of that certificate beside it, both in PEM: ${reason}.`;
    throw new BusError("BUS_CERTIFICATE", { file }, { cause, hint });
  }
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
