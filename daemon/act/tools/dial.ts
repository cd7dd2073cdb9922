import { type LookupAddress, promises } from "node:dns";
import { connect, isIP, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { isPrivateAddress } from "./addresses.ts";

/** All addresses of a name. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

export const systemResolve: Resolve = (host) => promises.lookup(host, { all: true });

export interface Dialling {
  readonly host: string;
  readonly port: number;
  /** Undefined: no TLS. `ca`: instead of the system's. */
  readonly tls: { readonly ca: string | undefined; readonly protocols?: readonly string[] } | undefined;
  /** The address may be of this machine or of a private network. */
  readonly privateAddress: boolean;
  readonly resolve: Resolve;
}

export interface Line {
  /** To be written to and read from. */
  readonly socket: Socket;
}

/** A connection from its first packet on. */
export interface Dialled {
  /** Ends it by a reset: what was written and is not sent yet is thrown away, also by the kernel. */
  breakOff(): void;
  hangUp(): void;
}

export interface DialFailure {
  readonly reason: string;
  /** It is no better the next time. */
  readonly permanent: boolean;
}

const PRIVATE: DialFailure = {
  reason: "its address is of this machine or of a private network: say privateAddress if that is meant",
  permanent: true,
};
const CLOSED: DialFailure = { reason: "it closed the connection", permanent: false };

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was reset",
  ENOTFOUND: "its name is not known",
  EAI_AGAIN: "its name can not be looked up now",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "the network is not reachable",
  ETIMEDOUT: "it does not answer",
  EPIPE: "the connection broke",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet: is this machine's clock right?",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed: name its CA as caFile",
  SELF_SIGNED_CERT_IN_CHAIN: "the CA of its certificate is not known: name it as caFile",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate can not be verified: name its CA as caFile",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the CA of its certificate is not known: name it as caFile",
};
const OF_THE_CERTIFICATE = /CERT|SIGNED|ISSUER|VERIFY|CRL/;

/** A network error in words. */
export function networkWords(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return (code === undefined ? undefined : WORDS[code]) ?? code ?? error.message;
}

/**
 * Connects, with TLS where that is wanted, and sends nothing itself. Which addresses are allowed is decided on the very
 * ones that are connected to: a name that is looked up twice may be another machine the second time. Calls `done` once.
 */
export function dial(to: Dialling, done: (result: Line | DialFailure) => void): Dialled {
  if (!to.privateAddress && isIP(to.host) !== 0 && isPrivateAddress(to.host)) {
    queueMicrotask(() => done(PRIVATE));
    return { breakOff: () => {}, hangUp: () => {} };
  }
  let isDone = false;
  const tell = (result: Line | DialFailure): void => {
    if (isDone) return;
    isDone = true;
    if ("reason" in result) raw.destroy();
    done(result);
  };
  const raw = connect({ host: to.host, port: to.port, lookup: lookupOf(to), noDelay: true });
  raw.on("error", (error) => tell(failureOf(error)));
  raw.on("close", () => tell(CLOSED));
  let written: Socket = raw;
  raw.once("connect", () => {
    if (!to.privateAddress && isPrivateAddress(raw.remoteAddress ?? "")) return tell(PRIVATE);
    if (to.tls === undefined) return tell({ socket: raw });
    try {
      const secured = secure(raw, to.host, to.tls);
      written = secured;
      secured.on("error", (error) => tell(failureOf(error)));
      secured.on("close", () => tell(CLOSED));
      secured.once("secureConnect", () => tell({ socket: secured }));
    } catch (error) {
      tell(failureOf(error as Error)); // a CA's file that holds something else
    }
  });
  const hangUp = (): void => void raw.destroy();
  const breakOff = (): void => {
    // A socket that is being ended can not be reset: Node would never close it, and turn round and round about it.
    const isEnding = raw.writableEnded || written.writableEnded;
    if (raw.connecting || raw.destroyed || isEnding) hangUp();
    else raw.resetAndDestroy();
  };
  return { breakOff, hangUp };
}

function secure(raw: Socket, host: string, { ca, protocols }: NonNullable<Dialling["tls"]>): TLSSocket {
  return connectTls({
    socket: raw,
    host,
    servername: isIP(host) === 0 ? host : "",
    minVersion: "TLSv1.2",
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
    ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }),
  });
}

class NotAllowed extends Error {
  override readonly name = "NotAllowed";
}

function failureOf(error: Error): DialFailure {
  if (error instanceof NotAllowed) return PRIVATE;
  return {
    reason: networkWords(error),
    permanent: OF_THE_CERTIFICATE.test((error as NodeJS.ErrnoException).code ?? ""),
  };
}

function lookupOf({ resolve, privateAddress }: Dialling): LookupFunction {
  return (host, options, done) => {
    resolve(host).then(
      (addresses) => {
        const [first] = addresses;
        if (first === undefined) return done(Object.assign(new Error("no address"), { code: "ENOTFOUND" }), "");
        // One that is not allowed is enough: which of them is taken is not in our hands.
        if (!privateAddress && addresses.some(({ address }) => isPrivateAddress(address)))
          return done(new NotAllowed(), "");
        return options.all === true ? done(null, [...addresses]) : done(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => done(error, ""),
    );
  };
}
