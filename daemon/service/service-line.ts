import type { Status } from "../status.ts";
import type { StoreState } from "../store/messages.ts";

/** One line for `systemctl status`: what a technician looks for first. */
export function serviceLine(status: Status): string {
  const { agents, bus, latch, latched, mode, passes, store, lastGood, models, ready, returned, clock } = status;
  const troubles = [
    latched ? `STOPPED: ${oneLine(latch?.why ?? "")}` : undefined,
    clock.trust === "unsynced" ? `the clock is wrong: ${clock.wall}` : undefined,
    lastGood ? "the configuration has mistakes, the last good one is used" : undefined,
    ready ? modelTrouble(models) : undefined,
    returned === null ? undefined : `the version before runs again: ${oneLine(returned)}`,
    bus.connected ? undefined : `no bus: ${oneLine(bus.reason ?? "not connected")}`,
    logTrouble(store),
  ].filter((trouble) => trouble !== undefined);
  const decided = passes.decided.toLocaleString("en");
  const count = agents.length === 1 ? "1 agent" : `${agents.length} agents`;
  return [...troubles, `mode ${mode}`, count, `${decided} decisions`].join("; ");
}

/** Its agents decide by their fallback meanwhile, or not at all. */
function modelTrouble(models: Status["models"]): string | undefined {
  const out = models.filter(({ state }) => state !== "ready").map(({ name, state }) => `${name} is ${state}`);
  return out.length === 0 ? undefined : `no answers of a model: ${out.join(", ")}`;
}

/** While it starts: what keeps it. */
export function startLine({ condition, reason }: Pick<StoreState, "condition" | "reason">): string {
  const trouble = condition === "full" ? logTrouble({ state: "full", reason: reason ?? "" }) : undefined;
  return trouble === undefined ? "starts: looks at its database" : `starts: waits, ${trouble}`;
}

/** Anything but a full disk by its own words: a technician who reads of a full disk deletes files. */
function logTrouble({ state, reason = "" }: Pick<Status["store"], "state" | "reason">): string | undefined {
  if (state === "ok") return undefined;
  const isOther = state === "full" && reason !== "" && !reason.includes("SQLITE_FULL");
  return `log ${isOther ? "not written" : state}: ${oneLine(reason)}`;
}

/** A line break would begin another assignment (sd_notify(3)). */
function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").slice(0, 200);
}
