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
  /** Messages to this broker are half as large from now on. */
  readonly shrinks?: true;
}

const WAIT = "Nothing: it is tried again.";
const TWO = "Find the other one: a copy of this gateway's disk? Give each gateway a name and a certificate of its own.";
const CREDENTIALS = "Check certificate, user and password, and whether the fleet has revoked them.";

/** Every reason of MQTT 5 with which a broker refuses (CONNACK) or ends (DISCONNECT) a connection: 3.2.2.2 and 3.14.2.1. */
export const knownReasons: Readonly<Record<number, KnownReason>> = {
  0: usual("Normal disconnection", "the broker ended the connection"),
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
    advice: TWO,
  },
  143: refused("Topic Filter invalid", "the broker does not take what we subscribe to", "Look at the broker's limits."),
  144: refused(
    "Topic Name invalid",
    "the broker does not take a topic of ours",
    "Look at the broker's limits and ACL.",
  ),
  147: usual("Receive Maximum exceeded", "the broker was sent too much at once", "Look at the broker's limits."),
  148: usual("Topic Alias invalid", "the broker did not understand a topic's alias", "Look at the broker's log."),
  149: {
    ...usual("Packet too large", "a message was larger than the broker takes", "Nothing: the next ones are smaller."),
    shrinks: true,
  },
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

/** Those with which a broker may refuse a CONNECT: MQTT 5, 3.2.2.2. */
export const connackCodes: readonly number[] = [
  ...[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c],
  ...[0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f],
];
/** Those with which a broker may end a connection that it took: MQTT 5, 3.14.2.1. 0x04 is a client's alone. */
export const disconnectCodes: readonly number[] = [
  ...[0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90],
  ...[0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2],
];

export function reasonOf(code: number): KnownReason & { readonly code: string } {
  return { ...(knownReasons[code] ?? UNKNOWN), code: `0x${code.toString(16).padStart(2, "0")}` };
}

const OWN = "Check fleet.tls.certificate and fleet.tls.key, and whether the fleet has revoked them.";
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
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: refused("certificate", "the broker wants a certificate of us", OWN),
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: refused("certificate", "the broker does not know who signed our certificate", OWN),
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: refused("certificate", "the broker does not take our certificate", OWN),
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: refused("certificate", "our certificate has expired", OWN),
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: refused("certificate", "our certificate is revoked", OWN),
  ERR_SSL_WRONG_VERSION_NUMBER: refused(
    "tls",
    "the broker speaks no TLS at this port",
    "Check the port in fleet.brokers.",
  ),
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: refused("files", "the key is not the certificate's", OWN),
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
  STALLED: usual("silence", "the broker answers no message, though it is there", "Look at the broker's log."),
  NO_SUBACK: usual("silence", "the broker answers no subscription, though it is there", "Look at the broker's log."),
  DISPUTED: {
    ...usual(
      "Session taken over",
      "another client has connected with this gateway's name, and the broker does not say so",
    ),
    failure: "takenOver",
    advice: TWO,
  },
  OVERSIZE: refused(
    "too large",
    "the broker sent a message that is larger than we take",
    "Is there a retained message on a topic of this gateway? Remove it at the broker.",
  ),
  NOT_MQTT: refused("not MQTT", "what the broker sends is not MQTT 5", "Is it an MQTT broker, and at this port?"),
  PLAIN: refused(
    "no TLS",
    "mqtt:// would send everything in the clear, and is for a broker on this machine alone",
    "Use mqtts:// or wss:// in fleet.brokers.",
  ),
  NO_CONNACK: usual(
    "timeout",
    "the broker took the connection and did not answer",
    "Is it an MQTT broker, and at this port? Does it take our certificate?",
  ),
};

/** What a failure that never came to a reason code means; `code` is that of Node's error. */
export function networkReason(code: string): KnownReason & { readonly code: undefined } {
  const isTls =
    code.startsWith("ERR_SSL") || code.startsWith("ERR_TLS") || code.startsWith("ERR_OSSL") || code === "EPROTO";
  const tls = refused(
    "tls",
    `TLS failed (${code})`,
    "Check certificate and key, and that the broker's port speaks TLS 1.2 or later.",
  );
  const other = isTls ? tls : usual("network", `the connection failed (${code})`, LINE);
  return { ...(networkReasons[code] ?? other), code: undefined };
}

/** What is the matter when the broker takes the connection and refuses a message: mostly its list of who may do what. */
export function publishReason(code: number, topic: string): Reason {
  const { name, code: hex } = reasonOf(code);
  return {
    code: hex,
    name,
    words: `the broker refuses what is published on ${topic}`,
    advice: "Check the broker's ACL.",
  };
}

function usual(name: string, words: string, advice = WAIT): KnownReason {
  return { name, words, advice, failure: "usual" };
}

function refused(name: string, words: string, advice: string): KnownReason {
  return { name, words, advice, failure: "refused" };
}
