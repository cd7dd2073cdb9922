import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Connack, type ConnectWords, connectPacket, disconnectPacket, readConnack } from "./mqtt-packet.ts";

/** A connection that came to be, or the code of what kept it from that. */
export type Dialled = { readonly ok: true; readonly socket: Socket } | { readonly ok: false; readonly code: string };

/** To one of these addresses, the first that answers. */
export async function dialTcp(addresses: readonly string[], port: number, withinMs: number): Promise<Dialled> {
  const signal = AbortSignal.timeout(withinMs);
  const each = addresses.map((one) => ({ address: one, family: isIP(one) }));
  const [first = ""] = addresses;
  // All of them at once, as the daemon's own connections do (RFC 8305).
  const socket = connectTcp({
    ...{ host: addresses.length === 1 ? first : "target.invalid", port, autoSelectFamily: addresses.length > 1 },
    lookup: (_host, _options, done) => (done as (error: null, found: typeof each) => void)(null, each),
  });
  socket.on("error", () => undefined);
  try {
    await once(socket, "connect", { signal });
    return { ok: true, socket };
  } catch (error) {
    socket.destroy();
    return { ok: false, code: codeOf(error, signal) };
  }
}

export interface TlsFacts {
  /** Why the certificate is not trusted; undefined: it is. */
  readonly refusal: string | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Names that it is for. */
  readonly names: string;
  readonly protocol: string;
}

export interface TlsWith {
  readonly host: string;
  readonly serverName: string | undefined;
  readonly ca: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

export type Secured =
  | { readonly ok: true; readonly socket: TLSSocket; readonly facts: TlsFacts }
  | { readonly ok: false; readonly code: string };

/** TLS over a connection. What is wrong with the certificate is looked at, not refused: all of it is to be told. */
export async function secure(
  socket: Socket,
  { host, serverName, ca, certificate, key }: TlsWith,
  withinMs: number,
): Promise<Secured> {
  const signal = AbortSignal.timeout(withinMs);
  const name = serverName ?? (isIP(host) === 0 ? host : undefined);
  try {
    const stream = connectTls({
      ...{ socket, host, minVersion: "TLSv1.2", rejectUnauthorized: false },
      ...(name === undefined ? {} : { servername: name }),
      ...(ca === undefined ? {} : { ca }),
      ...(certificate === undefined ? {} : { cert: certificate }),
      ...(key === undefined ? {} : { key }),
    });
    stream.on("error", () => undefined);
    await once(stream, "secureConnect", { signal });
    const peer = stream.getPeerX509Certificate();
    if (peer === undefined) return { ok: false, code: "NO_CERTIFICATE" };
    // Where it is not trusted, Node gives the code itself in place of an error.
    const said = stream.authorizationError as unknown;
    const refusal = stream.authorized ? undefined : ((said as { code?: string } | null)?.code ?? String(said));
    const facts = {
      ...{ refusal, notBeforeMs: Date.parse(peer.validFrom), notAfterMs: Date.parse(peer.validTo) },
      ...{ names: peer.subjectAltName ?? peer.subject, protocol: stream.getProtocol() ?? "?" },
    };
    return { ok: true, socket: stream, facts };
  } catch (error) {
    socket.destroy();
    return { ok: false, code: codeOf(error, signal) };
  }
}

export type LoggedIn = Connack | { readonly kind: "failed"; readonly code: string };

/** A CONNECT, its answer, and a farewell. `isLast`: with MQTT 3.1.1, to take away the session of the one before. */
export async function login(
  socket: Socket,
  version: 4 | 5,
  words: ConnectWords,
  withinMs: number,
  isLast = false,
): Promise<LoggedIn> {
  socket.write(connectPacket(version, words, isLast));
  let bytes = Buffer.alloc(0);
  return await new Promise<LoggedIn>((resolve) => {
    const end = (answer: LoggedIn): void => {
      clearTimeout(timer);
      if (answer.kind === "code" && answer.code === 0) socket.end(disconnectPacket(version, !answer.hasSession));
      setTimeout(() => socket.destroy(), 200).unref();
      resolve(answer);
    };
    const timer = setTimeout(() => end({ kind: "failed", code: "ETIMEDOUT" }), withinMs);
    socket.on("data", (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      const answer = readConnack(bytes);
      if (answer.kind !== "incomplete") end(answer);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => end({ kind: "failed", code: error.code ?? error.message }));
    socket.once("close", () => end({ kind: "failed", code: "CLOSED" }));
  });
}

function codeOf(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return "ETIMEDOUT";
  const { code, message, errors } = error as NodeJS.ErrnoException & { errors?: readonly NodeJS.ErrnoException[] };
  return errors?.[0]?.code ?? code ?? message;
}
