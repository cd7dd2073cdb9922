import type { IClientOptions } from "mqtt";

/** How long each step of a connection may take. */
export interface Patience {
  /** The way to the broker, with proxy and TLS. */
  readonly dialMs: number;
  /** The answer to a CONNECT, and to a SUBSCRIBE. */
  readonly answerMs: number;
  /** Any PUBACK, while some are due: a broker may answer pings and nothing else. */
  readonly acknowledgementMs: number;
}

/** Enough for a line of 9.6 kbit/s with seconds of delay. */
export const usualPatience: Patience = { dialMs: 30_000, answerMs: 30_000, acknowledgementMs: 180_000 };

/** Everything of one connection, read for it. */
export interface ClientOptions {
  readonly url: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly keepaliveSeconds: number;
  /** Left out by who is no gateway yet: nobody is to be told that it went. */
  readonly will?: { readonly topic: string; readonly payload: string } | undefined;
  readonly patience: Patience;
  /** What this broker was found to take in one packet. */
  readonly packetBytes: number | undefined;
}

export const RECEIVE_MAXIMUM = 20;
export const MOST_PACKET_BYTES = 262_144;
const WILL_DELAY_SECONDS = 60;

/** What the library is told, so that a CONNECT says what the wire's specification wants. */
export function clientOptions({
  clientId,
  username,
  password,
  keepaliveSeconds,
  will,
  patience,
}: ClientOptions): IClientOptions {
  return {
    protocolVersion: 5,
    clientId,
    // Nothing depends on a session that a broker keeps, and nothing is queued by the library.
    ...{ clean: true, reconnectPeriod: 0, connectTimeout: patience.answerMs, queueQoSZero: false, resubscribe: false },
    ...{ keepalive: keepaliveSeconds, reschedulePings: true },
    properties: {
      ...{ sessionExpiryInterval: 0, receiveMaximum: RECEIVE_MAXIMUM, maximumPacketSize: MOST_PACKET_BYTES },
      requestProblemInformation: true,
    },
    ...(will === undefined ? {} : { will: willOf(will) }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

function willOf({ topic, payload }: NonNullable<ClientOptions["will"]>): NonNullable<IClientOptions["will"]> {
  const properties = { willDelayInterval: WILL_DELAY_SECONDS };
  return { topic, payload: Buffer.from(payload), qos: 1, retain: true, properties };
}
