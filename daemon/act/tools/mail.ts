import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import MailComposer from "nodemailer/lib/mail-composer/index.js";
import SMTPConnection from "nodemailer/lib/smtp-connection/index.js";
import type { GatewayConfig } from "../../../config/gateway.ts";
import type { NamedFiles } from "../../bus/named-files.ts";
import type { Gate, Sent } from "../tool.ts";
import { dial, type Line, type Resolve, systemResolve } from "./dial.ts";
import { type Cut, fileRefused, oneTry, refused, stopped, unknown } from "./one-try.ts";

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
const FAREWELL_MS = 1000;

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
    return fileRefused(error);
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

/** How far it came: the gate is asked before the envelope; until its text goes out, nothing can become of a mail. */
type Phase = "greeting" | "envelope" | "text";

function deliver(delivery: Delivery, end: (sent: Sent) => void): (why: Cut) => void {
  const { config, message, secrets, deps, gate } = delivery;
  const { host, port, security } = config;
  let smtp: SMTPConnection | undefined;
  let phase: Phase = "greeting";
  const finish = (sent: Sent): void => {
    end(sent);
    smtp?.close();
    dialled.hangUp();
  };
  const broken = (error: Failure): void => finish(judge(error, phase));
  const text = Readable.from(
    once(message, () => {
      phase = "text";
    }),
  );
  const tls = security === "tls" ? { ca: secrets.ca } : undefined;
  const wanted = { host, port, tls, privateAddress: true, resolve: deps.resolve ?? systemResolve };
  const dialled = dial(wanted, (line) => {
    if ("reason" in line) return end(refused(line.reason, line.permanent));
    const made = new SMTPConnection(connectionOptions(config, secrets, line));
    smtp = made;
    made.on("error", broken);
    made.on("end", () => broken(new Error("it closed the connection")));
    const send = (): void => {
      if (!gate()) finish(stopped);
      else {
        phase = "envelope";
        handOver(made, delivery, text, end, broken);
      }
    };
    made.connect(() => {
      if (secrets.login === undefined) send();
      else made.login(secrets.login, (error) => (error ? broken(error) : send()));
    });
  });
  return (why) => finish(phase === "text" ? unknown(why) : refused(why, false));
}

/** Read from its beginning only when the server wants it. */
function* once(message: Buffer, begins: () => void): Generator<Buffer> {
  begins();
  yield message;
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
  text: Readable,
  end: (sent: Sent) => void,
  broken: (error: Failure) => void,
): void {
  const to = mail.to.map(({ address }) => address);
  smtp.send({ from: config.from, to, size: message.length }, text, (error, info) => {
    if (error) return broken(error);
    end({ kind: "acknowledged", detail: { accepted: info.accepted.length, refused: info.rejected.length } });
    smtp.quit();
    setTimeout(() => smtp.close(), FAREWELL_MS);
  });
}

interface Failure extends Error {
  readonly responseCode?: number | undefined;
  readonly response?: string | undefined;
}

function judge(error: Failure, phase: Phase): Sent {
  const code = error.responseCode ?? 0;
  const isPermanent = code >= 500 || /certificate/i.test(error.message);
  if (phase !== "greeting" && code >= 400)
    return { kind: "failed", left: true, reason: words(error), permanent: isPermanent };
  // It said nothing of the text, and may have taken it on.
  return phase === "text" ? unknown(words(error)) : refused(words(error), isPermanent);
}

function words(error: Failure): string {
  return (error.response ?? error.message).replaceAll(/\s+/g, " ").slice(0, LONGEST_REASON);
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
