/** How a connection to a broker came to its end. */
export type ConnectionEnd =
  /** The broker answered the CONNECT with a refusal. */
  | { readonly kind: "refused"; readonly code: number }
  /** The broker said why it hangs up (MQTT 5). */
  | { readonly kind: "dismissed"; readonly code: number }
  /** The network, TLS, or what came over it. `code` is the system's, where it has one. */
  | {
      readonly kind: "failed";
      readonly code: string | undefined;
      readonly message: string;
      readonly wasConnected: boolean;
    }
  /** The other side closed the connection and gave no reason. */
  | { readonly kind: "closed"; readonly wasConnected: boolean }
  /** A file that is needed to connect can not be used. */
  | { readonly kind: "file"; readonly message: string };

const CODES: Readonly<Record<number, string>> = {
  1: "it does not speak this version of MQTT",
  2: "it does not take the client id",
  3: "it is not available",
  4: "user name or password are wrong",
  5: "this client is not authorized",
  128: "unspecified error",
  129: "malformed packet",
  130: "protocol error",
  131: "an error of its own",
  132: "it does not speak this version of MQTT",
  133: "it does not take the client id",
  134: "user name or password are wrong",
  135: "this client is not authorized",
  136: "it is not available",
  137: "it is busy",
  138: "this client is banned",
  139: "it is shutting down",
  140: "it wants another way of authentication",
  141: "it heard nothing for too long",
  142: "another client took over with the same client id",
  143: "it does not take a topic filter",
  144: "it does not take a topic",
  145: "a packet's number is in use",
  147: "too many messages were unacknowledged",
  149: "a packet was too large",
  150: "messages come too fast",
  151: "a quota is used up",
  152: "an administrator ended it",
  153: "the payload is not of the announced format",
  154: "it does not store messages",
  155: "it does not offer QoS 1",
  156: "another broker is to be used",
  157: "it has moved",
  159: "connections come too fast",
  160: "the longest time for a connection is over",
  161: "it has no subscription identifiers",
  162: "it has no wildcards",
};

const SYSTEM: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was reset",
  ENOTFOUND: "its name is not known",
  EAI_AGAIN: "its name can not be looked up now",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "the network is not reachable",
  ETIMEDOUT: "it does not answer",
  EPIPE: "the connection broke",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed: name its CA as bus.tls.caFile",
  SELF_SIGNED_CERT_IN_CHAIN: "its CA is not known: name it as bus.tls.caFile",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate can not be verified: name its CA as bus.tls.caFile",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its CA is not known: name it as bus.tls.caFile",
};

/** The reason code of a refusal, in words. */
export function reasonWords(code: number): string {
  return CODES[code] ?? `reason 0x${code.toString(16).padStart(2, "0")}`;
}

/** A sentence for people. */
export function describeEnd(end: ConnectionEnd): string {
  switch (end.kind) {
    case "refused":
      return `The broker refuses: ${reasonWords(end.code)}.`;
    case "dismissed":
      return `The broker hung up: ${reasonWords(end.code)}.`;
    case "failed":
      return `The broker can not be reached: ${(end.code === undefined ? undefined : SYSTEM[end.code]) ?? end.message}.`;
    case "closed":
      return end.wasConnected
        ? "The broker closed the connection."
        : "The broker closed the connection before it answered.";
    case "file":
      return `A file of the configuration can not be used: ${end.message}`;
  }
}

/** What an error of the library says about the end. */
export function endOf(error: Error, wasConnected: boolean): ConnectionEnd {
  const { code } = error as { code?: unknown };
  if (typeof code === "number" && !wasConnected) return { kind: "refused", code };
  return { kind: "failed", code: typeof code === "string" ? code : undefined, message: error.message, wasConnected };
}

const AUTHENTICATION = new Set([2, 4, 5, 0x85, 0x86, 0x87, 0x8a, 0x8c]);
const TAKEN_OVER = 0x8e;
const BASE_MS = 500;
const LEAST_MS = 50;
const USUAL_CAP_MS = 30_000;
/** A person has to change something first, and a broker that counts failed logins may lock us out. */
const AUTHENTICATION_CAP_MS = 300_000;
const TAKEN_OVER_MS = 60_000;

/**
 * How long to wait before the next attempt: full jitter, so that a site whose power returns does not knock all at
 * once. `attempt` counts from 0 since the last stable connection; `random` is between 0 and 1.
 */
export function reconnectDelayMs(end: ConnectionEnd, attempt: number, random: number): number {
  const doublings = Math.min(attempt, 20);
  if (end.kind === "dismissed" && end.code === TAKEN_OVER) {
    // Two clients with one name would throw each other out for ever: the one that waits longer loses politely.
    return TAKEN_OVER_MS * Math.min(2 ** doublings, 10) * (1 + random);
  }
  const isAuthentication = end.kind === "refused" && AUTHENTICATION.has(end.code);
  const cap = isAuthentication ? AUTHENTICATION_CAP_MS : USUAL_CAP_MS;
  return LEAST_MS + random * Math.min(cap, BASE_MS * 2 ** doublings);
}

/** Whether the broker may speak MQTT 3.1.1 where it did not take MQTT 5. */
export function suggestsOlderVersion(end: ConnectionEnd): boolean {
  if (end.kind === "refused") return end.code === 1 || end.code === 0x84;
  return end.kind === "closed" && !end.wasConnected;
}
