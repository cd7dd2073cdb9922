import { wireVersion } from "./messages.ts";
import type { Outgoing } from "./send-queue.ts";

/** What the fleet sees of a gateway: kept by the broker, and its last will. */
export interface StateDocument extends Outgoing {
  readonly payload: string;
}

interface Told {
  readonly state: "ready" | "stopped" | "lost";
  readonly session: string;
  readonly software: string;
  /** Wall time in milliseconds. */
  readonly at: number;
}

export function stateDocument(topic: string, { state, session, software, at }: Told): StateDocument {
  const payload = JSON.stringify({ v: wireVersion, kind: "state", state, session, software, at: Math.floor(at) });
  return { topic, payload, qos: 1, retain: true };
}
