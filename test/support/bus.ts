import { setTimeout as sleep } from "node:timers/promises";
import { connectAsync, type MqttClient } from "mqtt";
import type { Bus, BusMessage } from "../../daemon/bus/bus.ts";
import type { Log } from "../../daemon/log.ts";

/** Collects what a bus hands over; releases at once, or when told to. */
export class Inbox {
  readonly messages: BusMessage[] = [];
  releasesAtOnce: boolean;

  constructor(bus: Bus, releasesAtOnce = true) {
    this.releasesAtOnce = releasesAtOnce;
    bus.onMessage = (message) => {
      this.messages.push(message);
      if (this.releasesAtOnce) message.receipt?.release();
    };
  }

  get texts(): string[] {
    return this.messages.map((message) => message.payload.toString());
  }

  releaseAll(): void {
    for (const message of this.messages) message.receipt?.release();
  }
}

/** Waits until it is true; fails loudly with what was waited for. */
export async function until(what: string, isTrue: () => boolean, limitMs = 60_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await sleep(5);
  }
}

export async function sensor(url: string, options: Record<string, unknown> = {}): Promise<MqttClient> {
  const client = await connectAsync(url, { reconnectPeriod: 0, ...options });
  (client.stream as unknown as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
  return client;
}

/** Log lines, kept. */
export function recordingLog(): Log & {
  readonly lines: { level: string; fields: Record<string, unknown>; text: string }[];
} {
  const lines: { level: string; fields: Record<string, unknown>; text: string }[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, text: string) => {
    lines.push({ level, fields, text });
  };
  const log = {
    lines,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    fatal: at("fatal"),
    child: () => log,
  };
  return log as unknown as Log & { readonly lines: typeof lines };
}
