import type { BusCommand } from "../../daemon/act/tool.ts";

export const yes = (): boolean => true;
export const no = (): boolean => false;
export const never = new AbortController().signal;

/** A command as a tool makes it. */
export function command(topic: string, text: string, more: Partial<BusCommand> = {}): BusCommand {
  return { topic, payload: Buffer.from(text), timeoutMs: 10_000, expirySeconds: 60, properties: {}, ...more };
}
