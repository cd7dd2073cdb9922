import type { SeqRange } from "../sync/messages.ts";
import { MOST_MESSAGE_BYTES, wireVersion } from "../sync/messages.ts";
import { type Signer, signedText } from "../sync/signing.ts";
import { gatewayTopics } from "../sync/topics.ts";
import type { Missing } from "./roll.ts";
import type { StoredPosition } from "./storing.ts";

export interface Said {
  readonly topic: string;
  readonly payload: string;
  readonly expirySeconds: number;
}

const EXPIRY_SECONDS = 60;
const MOST_RANGES = 256;
/** Left for what stands around the positions of a welcome. */
const ROOM_BYTES = 1024;

/** What a collector says to gateways, signed. */
export interface Voice {
  acknowledge(position: StoredPosition, session: string, slowMs: number): Said;
  welcome(gateway: string, session: string, positions: readonly StoredPosition[]): Said;
  backfill(gateway: string, session: string, missing: Missing): Said;
}

export function createVoice(fleet: string, signer: Signer, nowMs: () => number): Voice {
  const say = (kind: "ack" | "welcome" | "backfill", gateway: string, session: string, rest: object): Said => {
    const topics = gatewayTopics(fleet, gateway);
    const head = { v: wireVersion, kind, fleet, gateway, session, now: Math.floor(nowMs()) };
    const topic = kind === "backfill" ? topics.backfill : topics.acknowledgement;
    return { topic, payload: signedText({ ...head, ...rest }, signer), expirySeconds: EXPIRY_SECONDS };
  };
  return {
    acknowledge: ({ epoch, stream, contiguous, beyond, refused, gateway }, session, slowMs) =>
      say("ack", gateway, session, {
        ...{ epoch, stream, contiguous, ranges: beyond.slice(0, MOST_RANGES) },
        ...(refused.length === 0 ? {} : { refused: refused.slice(0, MOST_RANGES) }),
        ...(slowMs === 0 ? {} : { slowMs }),
      }),
    welcome: (gateway, session, positions) =>
      say("welcome", gateway, session, { protocol: wireVersion, positions: fitting(positions) }),
    backfill: (gateway, session, { epoch, stream, ranges }) =>
      say("backfill", gateway, session, { epoch, stream, ranges }),
  };
}

/**
 * Positions that fit into one message. What is beyond the contiguous part goes first: it costs the gateway some records
 * that come again, while a welcome that is too large would keep it from sending anything.
 */
function fitting(positions: readonly StoredPosition[]): object[] {
  let left = MOST_MESSAGE_BYTES - ROOM_BYTES;
  const said: { epoch: string; stream: number; contiguous: number; ranges: readonly SeqRange[] }[] = [];
  for (const { epoch, stream, contiguous } of positions) {
    const one = { epoch, stream, contiguous, ranges: [] };
    left -= JSON.stringify(one).length + 1;
    if (left < 0) return said;
    said.push(one);
  }
  for (const [at, { beyond }] of positions.entries()) {
    const one = said[at];
    if (one === undefined) break;
    const ranges: SeqRange[] = [];
    for (const range of beyond.slice(0, MOST_RANGES)) {
      left -= JSON.stringify(range).length + 1;
      if (left < 0) break;
      ranges.push(range);
    }
    one.ranges = ranges;
  }
  return said;
}
