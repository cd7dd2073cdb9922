/** By whom the CONNECT is. */
export interface ConnectWords {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

const KEEPALIVE_SECONDS = 30;
const CLEAN = 0x02;
const HAS_USERNAME = 0x80;
const HAS_PASSWORD = 0x40;

export const DISCONNECT = Buffer.from([0xe0, 0]);

/** A CONNECT that leaves nothing at the broker: a clean session, no will. MQTT 3.1.1 and MQTT 5, 3.1. */
export function connectPacket(version: 4 | 5, { clientId, username, password }: ConnectWords): Buffer {
  const flags = CLEAN | (username === undefined ? 0 : HAS_USERNAME) | (password === undefined ? 0 : HAS_PASSWORD);
  const body = Buffer.concat([
    text("MQTT"),
    Buffer.from([version, flags, 0, KEEPALIVE_SECONDS]),
    // No properties.
    version === 5 ? Buffer.from([0]) : Buffer.alloc(0),
    text(clientId),
    ...(username === undefined ? [] : [text(username)]),
    ...(password === undefined ? [] : [text(password)]),
  ]);
  return Buffer.concat([Buffer.from([0x10]), lengthOf(body.length), body]);
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
  | { readonly kind: "code"; readonly code: number }
  /** More bytes have to come. */
  | { readonly kind: "incomplete" }
  | { readonly kind: "other" };

/** The answer to a CONNECT, from its first bytes: 0 is a yes. */
export function readConnack(bytes: Buffer): Connack {
  if (bytes.length > 0 && bytes[0] !== 0x20) return { kind: "other" };
  let at = 1;
  while (at < bytes.length && ((bytes[at] ?? 0) & 0x80) !== 0) at += 1;
  const code = bytes[at + 2];
  return code === undefined ? { kind: "incomplete" } : { kind: "code", code };
}
