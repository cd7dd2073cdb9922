import { type ClockReading, type Hello, type Span, wireVersion } from "./messages.ts";

const MOST_SPANS = 256;
/** A hello without its spans, with its topic, and a span, at most. */
const HELLO_BYTES = 640;
const SPAN_BYTES = 110;

interface Facts {
  readonly session: string;
  readonly software: string;
  readonly epoch: string;
  readonly ordinal: number;
  readonly clock: ClockReading;
  /** What waits, the newest starts first. */
  readonly spans: readonly Span[];
  /** The largest packet that the broker takes. */
  readonly packetBytes: number;
}

/** The first message of a connection; of what waits as much as the broker takes in one packet, and at least one span. */
export function helloOf({ session, software, epoch, ordinal, clock, spans, packetBytes }: Facts): Hello {
  const most = Math.max(1, Math.min(MOST_SPANS, Math.floor((packetBytes - HELLO_BYTES) / SPAN_BYTES)));
  return {
    ...{ v: wireVersion, kind: "hello", protocol: [wireVersion, wireVersion], session, software },
    ...{ epoch, ordinal, clock, waiting: spans.slice(0, most) },
  };
}
