import type { Failure } from "./backoff.ts";

/** Why there is no connection, in words for people. */
export interface Reason {
  /** MQTT's reason code in hex; undefined: it did not come to that. */
  readonly code: string | undefined;
  readonly name: string;
  readonly words: string;
  readonly advice: string;
}

export interface KnownReason extends Omit<Reason, "code"> {
  /** How long to wait. */
  readonly failure: Failure;
  /** Another broker is named, and only one of the configured list is followed. */
  readonly moves?: true;
  /** Batches are to be smaller. */
  readonly shrinks?: true;
}

const WAIT = "Nothing: it is tried again.";
const CREDENTIALS = "Check certificate, user and password, and whether the fleet has revoked them.";

/** Every reason of MQTT 5 with which a broker refuses (CONNACK) or ends (DISCONNECT) a connection: 3.2.2.2 and 3.14.2.1. */
export const knownReasons: Readonly<Record<number, KnownReason>> = {
  0: usual("Normal disconnection", "the broker ended the connection"),
  4: usual("Disconnect with Will Message", "the broker ended the connection"),
  128: usual("Unspecified error", "the broker does not say why"),
  129: usual(
    "Malformed Packet",
    "the broker did not understand a packet",
    "Look at the broker's log; is its MQTT 5 whole?",
  ),
  130: usual("Protocol Error", "the broker found that something is against MQTT", "Look at the broker's log."),
  131: usual("Implementation specific error", "the broker can not take it now"),
  132: refused("Unsupported Protocol Version", "the broker speaks no MQTT 5", "Use a broker that speaks MQTT 5."),
  133: refused("Client Identifier not valid", "the broker does not take this gateway's name", "Change fleet.gateway."),
  134: refused("Bad User Name or Password", "the broker does not know user and password", CREDENTIALS),
  135: refused("Not authorized", "the broker does not let this gateway in", CREDENTIALS),
  136: usual("Server unavailable", "the broker is not ready"),
  137: usual("Server busy", "the broker has too much to do"),
  138: refused("Banned", "the broker has banned this gateway", "Ask who runs the broker."),
  139: usual("Server shutting down", "the broker shuts down"),
  140: refused("Bad authentication method", "the broker wants to know us in another way", CREDENTIALS),
  141: usual(
    "Keep Alive timeout",
    "the broker heard nothing for too long",
    "Is the line very slow? Raise fleet.keepaliveSeconds.",
  ),
  142: {
    ...usual("Session taken over", "another client connected with this gateway's name"),
    failure: "takenOver",
    advice: "Find the other one: a copy of this gateway's disk? Give each gateway a name and a certificate of its own.",
  },
  143: refused("Topic Filter invalid", "the broker does not take what we subscribe to", "Look at the broker's limits."),
  144: refused(
    "Topic Name invalid",
    "the broker does not take a topic of ours",
    "Look at the broker's limits and ACL.",
  ),
  147: usual("Receive Maximum exceeded", "the broker was sent too much at once", "Look at the broker's limits."),
  148: usual("Topic Alias invalid", "the broker did not understand a topic's alias", "Look at the broker's log."),
  149: { ...usual("Packet too large", "a message was larger than the broker takes"), shrinks: true },
  150: usual("Message rate too high", "the broker wants fewer messages", "Lower fleet.budget.bytesPerSecond."),
  151: usual("Quota exceeded", "a limit of the broker is reached", "Look at the broker's limits for this client."),
  152: usual("Administrative action", "somebody ended the connection at the broker"),
  153: usual("Payload format invalid", "the broker did not like a payload", "Look at the broker's log."),
  154: usual("Retain not supported", "the broker keeps no messages", "Use a broker that supports retained messages."),
  155: usual("QoS not supported", "the broker takes no QoS 1", "Use a broker that supports QoS 1."),
  156: { ...usual("Use another server", "the broker sends us to another one for now"), moves: true },
  157: {
    ...usual("Server moved", "the broker sends us to another one for good", "Name it in fleet.brokers."),
    moves: true,
  },
  158: refused("Shared Subscriptions not supported", "the broker knows no shared subscriptions", "Use another broker."),
  159: usual("Connection rate exceeded", "too many connect at once"),
  160: usual("Maximum connect time", "the broker ends connections after a while"),
  161: refused("Subscription Identifiers not supported", "the broker knows no subscription ids", "Use another broker."),
  162: refused("Wildcard Subscriptions not supported", "the broker knows no wildcards", "Use another broker."),
};

const UNKNOWN = usual(
  "Unknown reason",
  "the broker gives a reason that MQTT 5 does not have",
  "Look at the broker's log.",
);

export function reasonOf(code: number): KnownReason & { readonly code: string } {
  return { ...(knownReasons[code] ?? UNKNOWN), code: `0x${code.toString(16).padStart(2, "0")}` };
}

const LINE = "Check the network, the firewall and fleet.brokers.";
/** Failures that never came to a reason code, by the code of the error. */
export const networkReasons: Readonly<Record<string, KnownReason>> = {
  ECONNREFUSED: usual("refused", "nothing listens at the broker's address", LINE),
  ECONNRESET: usual("reset", "the connection was cut", LINE),
  EPIPE: usual("reset", "the connection was cut", LINE),
  ETIMEDOUT: usual("timeout", "the broker's address does not answer", LINE),
  EHOSTUNREACH: usual("unreachable", "there is no way to the broker's network", LINE),
  ENETUNREACH: usual("unreachable", "there is no network", LINE),
  ENOTFOUND: usual("name", "the broker's name is not known", "Check DNS and fleet.brokers."),
  EAI_AGAIN: usual("name", "the name server does not answer", "Check DNS and the network."),
  CERT_HAS_EXPIRED: refused(
    "certificate",
    "the broker's certificate has expired",
    "Is this machine's clock right? Renew the broker's certificate.",
  ),
  CERT_NOT_YET_VALID: usual(
    "certificate",
    "the broker's certificate is not valid yet",
    "Is this machine's clock right?",
  ),
  ERR_TLS_CERT_ALTNAME_INVALID: refused(
    "certificate",
    "the broker's certificate is for another name",
    "Check fleet.brokers, or name it in fleet.tls.serverName.",
  ),
  SELF_SIGNED_CERT_IN_CHAIN: refused(
    "certificate",
    "nobody known signed the broker's certificate",
    "Name the fleet's CA in fleet.tls.ca.",
  ),
  DEPTH_ZERO_SELF_SIGNED_CERT: refused(
    "certificate",
    "nobody known signed the broker's certificate",
    "Name the fleet's CA in fleet.tls.ca.",
  ),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: refused(
    "certificate",
    "nobody known signed the broker's certificate",
    "Name the fleet's CA in fleet.tls.ca.",
  ),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: refused(
    "certificate",
    "nobody known signed the broker's certificate",
    "Name the fleet's CA in fleet.tls.ca.",
  ),
  FILES: refused(
    "files",
    "a file of fleet.tls or the password can not be read",
    "Check that it is there and that the daemon's user may read it.",
  ),
  PROXY: usual("proxy", "the proxy did not let the connection through", "Check fleet.proxy."),
  SUBSCRIBE: refused(
    "subscribe",
    "the broker does not let this gateway hear its own topics",
    "Check the broker's ACL.",
  ),
  SILENT: usual("silence", "the broker has not answered for too long", LINE),
  CLOSED: usual("closed", "the connection ended without a word", LINE),
  NO_CONNACK: usual(
    "timeout",
    "the broker took the connection and did not answer",
    "Is it an MQTT broker, and at this port?",
  ),
};

/** What a failure that never came to a reason code means; `code` is that of Node's error. */
export function networkReason(code: string): KnownReason & { readonly code: undefined } {
  const isTls = code.startsWith("ERR_SSL") || code.startsWith("ERR_TLS") || code === "EPROTO";
  const tls = refused(
    "tls",
    `TLS failed (${code})`,
    "Check certificate and key, and that the broker's port speaks TLS 1.2 or later.",
  );
  const other = isTls ? tls : usual("network", `the connection failed (${code})`, LINE);
  return { ...(networkReasons[code] ?? other), code: undefined };
}

function usual(name: string, words: string, advice = WAIT): KnownReason {
  return { name, words, advice, failure: "usual" };
}

function refused(name: string, words: string, advice: string): KnownReason {
  return { name, words, advice, failure: "refused" };
}
