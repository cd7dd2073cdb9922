import { setTimeout as pause } from "node:timers/promises";
import { type DaemonProcess, findDaemon, isAlive, killDaemon } from "./daemon-process.ts";
import { acknowledgementPath, latchPath, readLatch, writeLatchDurably } from "./latch-file.ts";
import type { LatchNote } from "./latch-note.ts";

/** The daemon looks at the file ten times a second; more than a short while means that it hangs. */
const WAIT_MS = 3000;
const LOOK_MS = 20;
const KILL_WAIT_MS = 5000;

export type Stopped =
  /** No daemon runs: the next one finds the file. */
  | { readonly kind: "down" }
  /** The daemon says that nothing can leave any more. */
  | { readonly kind: "acknowledged" }
  | { readonly kind: "killed"; readonly pid: number }
  /** It ended by itself while it was waited for. */
  | { readonly kind: "ended"; readonly pid: number }
  /** The file is written, so at most what was on its way can still leave; nobody says that nothing was. */
  | { readonly kind: "unsure"; readonly reason: string; readonly pid?: number };

interface Options {
  readonly directory: string;
  readonly note: LatchNote;
  readonly mayKill: boolean;
  /** Whether nobody holds the data directory, also where this process can not see them; undefined: can not tell. */
  readonly isFree: () => Promise<boolean | undefined>;
}

/**
 * Stops effects without the daemon's help. A daemon that hangs may have passed its last look at the file and still be
 * about to send; only its word, or its end, says that nothing more leaves. Throws when the file can not be written.
 */
export async function stopByFile({ directory, note, mayKill, isFree }: Options): Promise<Stopped> {
  const path = latchPath(directory);
  writeLatchDurably(path, note);
  const daemon = findDaemon(directory);
  const free = daemon === undefined ? await isFree() : false;
  if (free === true) return { kind: "down" };
  for (let waited = 0; waited < WAIT_MS; waited += LOOK_MS) {
    if (isAcknowledged(directory, note)) return { kind: "acknowledged" };
    if (daemon !== undefined && !isAlive(daemon)) return { kind: "ended", pid: daemon.pid };
    await pause(LOOK_MS);
  }
  if (daemon === undefined)
    return { kind: "unsure", reason: free === undefined ? "nobody knows whether a daemon runs" : "it can not be seen" };
  return mayKill ? await kill(daemon) : { kind: "unsure", reason: "it does not answer", pid: daemon.pid };
}

async function kill(daemon: DaemonProcess): Promise<Stopped> {
  const { pid } = daemon;
  if (await killDaemon(daemon, KILL_WAIT_MS)) return { kind: "killed", pid };
  return { kind: "unsure", reason: "it does not answer, and could not be killed", pid };
}

/** The daemon obeys this stop, or a later one. A release that came in between is overruled: this stop is the newer word. */
function isAcknowledged(directory: string, note: LatchNote): boolean {
  const path = latchPath(directory);
  const file = readLatch(path);
  if (file.kind !== "read" || !file.note.latched) {
    writeLatchDurably(path, note);
    return false;
  }
  const heard = readLatch(acknowledgementPath(directory));
  return heard.kind === "read" && heard.note.latched && heard.note.nonce === file.note.nonce;
}
