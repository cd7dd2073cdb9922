import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { placeOf } from "./broker-url.ts";
import { throughProxy } from "./proxy.ts";

export interface DialOptions {
  readonly url: string;
  readonly proxy: string | undefined;
  readonly serverName: string | undefined;
  readonly ca: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

/** A way to a broker that stands: TLS is agreed, MQTT has not begun. */
export interface Line {
  readonly stream: Socket;
  /** The socket below TLS: what it counts is what the line carries. */
  readonly socket: Socket;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;
/** One of a name's addresses; Node's own quarter of a second is too little for a satellite. */
const ADDRESS_MS = 10_000;

/** What a connection is made with; each throws where its file can not be read. */
export interface LinkFiles {
  ca(): string | undefined;
  certificate(): string | undefined;
  key(): string | undefined;
  password(): string | undefined;
}

/** As the files are now. Throws with the code FILES. */
export function readFiles(files: LinkFiles) {
  try {
    return { ca: files.ca(), certificate: files.certificate(), key: files.key(), password: files.password() };
  } catch (cause) {
    throw Object.assign(new Error((cause as Error).message, { cause }), { code: "FILES" });
  }
}

/** As `dial`; after `withinMs` it is given up by way of the owner's controller. */
export async function dialWithin(withinMs: number, options: DialOptions, dialing: AbortController): Promise<Line> {
  const tooLate = Object.assign(new Error("no way within the time"), { code: "ETIMEDOUT" });
  const late = setTimeout(() => dialing.abort(tooLate), withinMs);
  try {
    return await dial(options, dialing.signal);
  } finally {
    clearTimeout(late);
  }
}

/** Makes the way to a broker, through a proxy where there is one. Rejects with the code of what failed. */
async function dial(options: DialOptions, signal: AbortSignal): Promise<Line> {
  const { url, proxy } = options;
  const { protocol, host, port } = placeOf(url);
  if (protocol === "mqtt:" && !LOOPBACK.test(host))
    throw Object.assign(new Error("mqtt:// leaves this machine"), { code: "PLAIN" });
  const at = proxy === undefined ? { host, port } : proxyPlace(proxy);
  const socket = connectTcp({ ...at, host: bare(at.host), noDelay: true, autoSelectFamilyAttemptTimeout: ADDRESS_MS });
  const cut = (): void => void socket.destroy(signal.reason as Error);
  signal.addEventListener("abort", cut, { once: true });
  // A socket without a listener that fails ends the process.
  socket.on("error", () => undefined);
  try {
    if (signal.aborted) throw signal.reason;
    await once(socket, "connect").catch((cause: unknown) => {
      throw proxy === undefined ? cause : proxyError(cause as Error);
    });
    if (proxy !== undefined) await throughProxy(socket, proxy, `${host}:${port}`);
    const stream = protocol === "mqtt:" ? socket : await secured(socket, bare(host), options, signal);
    return { stream, socket };
  } catch (error) {
    socket.destroy();
    // Whatever the cut made of it: why it was cut is why.
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", cut);
  }
}

async function secured(
  socket: Socket,
  host: string,
  { serverName, ca, certificate, key }: DialOptions,
  signal: AbortSignal,
): Promise<Socket> {
  // RFC 6066, 3: an address is no server name. The certificate is then checked against the address.
  const name = serverName ?? (isIP(host) === 0 ? host : undefined);
  const stream = connectTls({
    ...{ socket, host, minVersion: "TLSv1.2" },
    ...(name === undefined ? {} : { servername: name }),
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
  });
  stream.on("error", () => undefined);
  try {
    await once(stream, "secureConnect", { signal });
    return stream;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

function proxyPlace(proxy: string): { host: string; port: number } {
  const { hostname, port } = new URL(proxy);
  return { host: hostname, port: Number(port || 80) };
}

function proxyError(cause: Error): Error {
  return Object.assign(new Error(`no connection to the proxy: ${cause.message}`, { cause }), { code: "PROXY" });
}

/** URLs write IPv6 addresses in brackets, sockets without. */
function bare(host: string): string {
  return host.startsWith("[") ? host.slice(1, -1) : host;
}
