/** By whom the CONNECT is. */
export interface ConnectWords {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

const KEEPALIVE_SECONDS = 30;
const CLEAN = 0x02;
/** MQTT 5, 3.1.2.11.2 and 3.14.2.2.2: how long the broker keeps a session after its connection. */
const SESSION_EXPIRY = 0x11;
const KEPT_SECONDS = 86_400;
const SESSION_PRESENT = 0x01;
const HAS_USERNAME = 0x80;
const HAS_PASSWORD = 0x40;

/**
 * A CONNECT without a will. Some brokers name clients themselves, by user or certificate, and then this is the daemon's
 * session: it is not begun anew, so that what waits in it is not lost. `isLast`: what is there may go (MQTT 3.1.1, 3.1).
 */
export function connectPacket(
  version: 4 | 5,
  { clientId, username, password }: ConnectWords,
  isLast: boolean = false,
): Buffer {
  const flags =
    (isLast ? CLEAN : 0) | (username === undefined ? 0 : HAS_USERNAME) | (password === undefined ? 0 : HAS_PASSWORD);
  const body = Buffer.concat([
    text("MQTT"),
    Buffer.from([version, flags, 0, KEEPALIVE_SECONDS]),
    version === 5 ? sessionExpiry(KEPT_SECONDS) : Buffer.alloc(0),
    text(clientId),
    ...(username === undefined ? [] : [text(username)]),
    ...(password === undefined ? [] : [text(password)]),
  ]);
  return Buffer.concat([Buffer.from([0x10]), lengthOf(body.length), body]);
}

/** Says goodbye. With MQTT 5 a session of one's own ends with it. */
export function disconnectPacket(version: 4 | 5, isOwnSession: boolean): Buffer {
  if (version === 4 || !isOwnSession) return Buffer.from([0xe0, 0]);
  const body = Buffer.concat([Buffer.from([0]), sessionExpiry(0)]);
  return Buffer.concat([Buffer.from([0xe0]), lengthOf(body.length), body]);
}

function sessionExpiry(seconds: number): Buffer {
  const property = Buffer.alloc(6);
  property[0] = 5;
  property[1] = SESSION_EXPIRY;
  property.writeUInt32BE(seconds, 2);
  return property;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A variable byte integer. */
function lengthOf(length: number): Buffer {
  const bytes: number[] = [];
  for (let rest = length; ; ) {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
    if (rest === 0) return Buffer.from(bytes);
  }
}

export type Connack =
  /** `hasSession`: the broker knows a session of this name already. */
  | { readonly kind: "code"; readonly code: number; readonly hasSession: boolean }
  /** More bytes have to come. */
  | { readonly kind: "incomplete" }
  | { readonly kind: "other" };

/** The answer to a CONNECT, from its first bytes: 0 is a yes. */
export function readConnack(bytes: Buffer): Connack {
  if (bytes.length > 0 && bytes[0] !== 0x20) return { kind: "other" };
  let at = 1;
  while (at < bytes.length && ((bytes[at] ?? 0) & 0x80) !== 0) at += 1;
  const [flags, code] = [bytes[at + 1], bytes[at + 2]];
  if (flags === undefined || code === undefined) return { kind: "incomplete" };
  return { kind: "code", code, hasSession: (flags & SESSION_PRESENT) !== 0 };
}
