import type { Status } from "../status.ts";

/** One line for `systemctl status`: what a technician looks for first. */
export function serviceLine(status: Status): string {
  const { agents, bus, latch, latched, mode, passes, store, lastGood, returned } = status;
  const troubles = [
    latched ? `STOPPED: ${oneLine(latch?.why ?? "")}` : undefined,
    lastGood ? "the configuration has mistakes, the last good one is used" : undefined,
    returned === null ? undefined : `the version before runs again: ${oneLine(returned)}`,
    bus.connected ? undefined : `no bus: ${oneLine(bus.reason ?? "not connected")}`,
    store.state === "ok" ? undefined : `log ${store.state}: ${oneLine(store.reason ?? "")}`,
  ].filter((trouble) => trouble !== undefined);
  const decided = passes.decided.toLocaleString("en");
  const count = agents.length === 1 ? "1 agent" : `${agents.length} agents`;
  return [...troubles, `mode ${mode}`, count, `${decided} decisions`].join("; ");
}

/** A line break would begin another assignment (sd_notify(3)). */
function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").slice(0, 200);
}
