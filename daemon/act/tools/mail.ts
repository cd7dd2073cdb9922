import { createHash } from "node:crypto";
import MailComposer from "nodemailer/lib/mail-composer/index.js";
import SMTPConnection from "nodemailer/lib/smtp-connection/index.js";
import type { GatewayConfig } from "../../../config/gateway.ts";
import type { NamedFiles } from "../../bus/named-files.ts";
import type { Gate, Sent } from "../tool.ts";
import { dial, type Line, networkWords, type Resolve, systemResolve } from "./dial.ts";
import { type Cut, oneTry, refused, stopped, unknown } from "./one-try.ts";

export type MailConfig = NonNullable<GatewayConfig["mail"]>;

export interface Mail {
  readonly to: readonly { readonly name: string; readonly address: string }[];
  readonly subject: string;
  readonly text: string;
  /** Two tries of one action are one message to whoever compares. */
  readonly idempotencyKey: string;
}

export interface MailDeps {
  readonly files: NamedFiles;
  readonly resolve?: Resolve | undefined;
}

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;
const LONGEST_REASON = 200;

/** Hands a mail to the server of the gateway's file. Acknowledged: the server took it on. */
export async function sendMail(
  config: MailConfig,
  mail: Mail,
  deps: MailDeps,
  timeoutMs: number,
  gate: Gate,
  signal: AbortSignal,
): Promise<Sent> {
  if (config.security === "none" && !LOOPBACK.test(config.host))
    return refused("mail without protection is for a server on this machine alone");
  let secrets: Secrets;
  try {
    secrets = secretsOf(config, deps.files);
  } catch (error) {
    return refused(`a file of the mail server can not be used: ${(error as Error).message}`, false);
  }
  const message = await compose(config.from, mail);
  return oneTry(timeoutMs, signal, (end) => deliver({ config, mail, message, secrets, deps, gate }, end));
}

interface Secrets {
  readonly ca: string | undefined;
  readonly login: { readonly user: string; readonly pass: string } | undefined;
}

function secretsOf({ username, passwordFile, caFile }: MailConfig, files: NamedFiles): Secrets {
  const ca = caFile === undefined ? undefined : files.text(caFile);
  if (username === undefined) return { ca, login: undefined };
  return { ca, login: { user: username, pass: passwordFile === undefined ? "" : files.secret(passwordFile) } };
}

interface Delivery {
  readonly config: MailConfig;
  readonly mail: Mail;
  readonly message: Buffer;
  readonly secrets: Secrets;
  readonly deps: MailDeps;
  readonly gate: Gate;
}

function deliver(delivery: Delivery, end: (sent: Sent) => void): (why: Cut) => void {
  const { config, secrets, deps, gate } = delivery;
  const { host, port, security } = config;
  let hasBegun = false;
  const finish = (sent: Sent): void => {
    end(sent);
    dialled.hangUp();
  };
  const broken = (error: Failure): void => finish(hasBegun ? failureOf(error) : refusalOf(error));
  const tls = security === "tls" ? { ca: secrets.ca } : undefined;
  const wanted = { host, port, tls, privateAddress: true, resolve: deps.resolve ?? systemResolve };
  const dialled = dial(wanted, (line) => {
    if ("reason" in line) return end(refused(line.reason, line.permanent));
    const smtp = new SMTPConnection(connectionOptions(config, secrets, line));
    smtp.on("error", broken);
    smtp.on("end", () => broken(new Error("it closed the connection")));
    const send = (): void => {
      hasBegun = gate();
      if (hasBegun) handOver(smtp, delivery, end, broken);
      else finish(stopped);
    };
    smtp.connect(() => {
      if (secrets.login === undefined) send();
      else smtp.login(secrets.login, (error) => (error ? broken(error) : send()));
    });
  });
  return (why) => finish(hasBegun ? unknown(why) : refused(why, false));
}

function connectionOptions(config: MailConfig, secrets: Secrets, line: Line): SMTPConnection.Options {
  const { host, port, security } = config;
  const ca = secrets.ca === undefined ? {} : { ca: secrets.ca };
  return {
    host,
    port,
    connection: line.socket,
    secure: security === "tls",
    secured: security === "tls",
    requireTLS: security === "starttls",
    ignoreTLS: security === "none",
    tls: { minVersion: "TLSv1.2", rejectUnauthorized: true, ...ca },
    logger: false,
  };
}

function handOver(
  smtp: SMTPConnection,
  { config, mail, message }: Delivery,
  end: (sent: Sent) => void,
  broken: (error: Failure) => void,
): void {
  const to = mail.to.map(({ address }) => address);
  smtp.send({ from: config.from, to, size: message.length }, message, (error, info) => {
    if (error) return broken(error);
    end({ kind: "acknowledged", detail: { accepted: info.accepted.length, refused: info.rejected.length } });
    smtp.quit();
  });
}

interface Failure extends Error {
  readonly code?: string | undefined;
  readonly responseCode?: number | undefined;
  readonly response?: string | undefined;
}

/** Before the mail began to leave. */
function refusalOf(error: Failure): Sent {
  return refused(words(error), isPermanent(error) || /CERT|SIGNED|ISSUER|VERIFY/.test(error.code ?? ""));
}

/** The server said no; or it said nothing, and may have taken the mail on. */
function failureOf(error: Failure): Sent {
  if (error.responseCode === undefined) return unknown(words(error));
  return { kind: "failed", left: true, reason: words(error), permanent: isPermanent(error) };
}

function isPermanent({ responseCode }: Failure): boolean {
  return responseCode !== undefined && responseCode >= 500;
}

function words(error: Failure): string {
  const said = error.response?.replaceAll(/\s+/g, " ");
  return (said ?? networkWords(error)).slice(0, LONGEST_REASON);
}

function compose(from: string, mail: Mail): Promise<Buffer> {
  const host = from.slice(from.lastIndexOf("@") + 1);
  const id = createHash("sha256").update(mail.idempotencyKey).digest("hex").slice(0, 32);
  const options = {
    from: { name: "Holdfast", address: from },
    to: mail.to.map(({ name, address }) => ({ name, address })),
    subject: mail.subject,
    text: mail.text,
    messageId: `<${id}@${host}>`,
    // RFC 3834: so that nobody's machine answers.
    headers: { "Auto-Submitted": "auto-generated" },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  return new MailComposer(options).compile().build();
}
