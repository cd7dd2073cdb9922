import { readFileSync } from "node:fs";
import type { Frame } from "./host/frames.ts";
import { type HostEnd, HostProcess } from "./host-process.ts";
import { type EndCause, respawnDelayMs } from "./strikes.ts";

export interface HostStatus {
  readonly pid: number;
  readonly lane: string;
  readonly restarts: number;
  readonly residentBytes: number;
  readonly state: "starting" | "ready" | "ending" | "down";
  readonly reason?: string;
}

/** What a lane is told about its host. */
export interface LaneHostEvents {
  ready(): void;
  frame(frame: Frame): void;
  /** Says whether there shall be another. */
  ended(cause: EndCause, reason: string): boolean;
}

const END_GRACE_MS = 1000;

/** The place of a lane's host: there is one, or one will come after a while, until the lane stops. */
export class LaneHost {
  readonly #lane: string;
  readonly #hostPath: string;
  readonly #nowMs: () => number;
  readonly #events: LaneHostEvents;
  #process: HostProcess | undefined;
  #state: HostStatus["state"] = "down";
  #reason: string | undefined;
  #cause: EndCause | undefined;
  #spawns = 0;
  #spawnedMs = 0;
  #delayMs = 0;
  #oomKills = 0;
  #residentBytes = 0;
  #respawn: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;
  #stopped: (() => void) | undefined;

  constructor(lane: string, hostPath: string, nowMs: () => number, events: LaneHostEvents) {
    this.#lane = lane;
    this.#hostPath = hostPath;
    this.#nowMs = nowMs;
    this.#events = events;
  }

  get state(): HostStatus["state"] {
    return this.#state;
  }

  /** How long it has been on its way, while it is. */
  get startingMs(): number {
    return this.#state === "starting" ? this.#nowMs() - this.#spawnedMs : 0;
  }

  status(): HostStatus {
    const reason = this.#reason === undefined ? {} : { reason: this.#reason };
    const restarts = Math.max(0, this.#spawns - 1);
    const pid = this.#process?.pid ?? 0;
    return { pid, lane: this.#lane, restarts, residentBytes: this.#residentBytes, state: this.#state, ...reason };
  }

  /** Sees to it that there is a host, now or after the wait that is running. */
  want(): void {
    if (this.#process === undefined && this.#respawn === undefined) this.#spawn();
  }

  send(frame: Buffer): void {
    this.#process?.send(frame);
  }

  /** Looks at the memory it has now. */
  measure(): number {
    this.#residentBytes = this.#process?.residentBytes() ?? 0;
    return this.#residentBytes;
  }

  /** Ends it at once. */
  kill(cause: EndCause, reason: string): void {
    if (this.#process === undefined || this.#cause !== undefined) return;
    this.#leave(cause, reason);
    this.#process.kill();
  }

  /** Ends it in order: the pipe closes, it ends when its run does, and is killed when that takes too long. */
  end(reason: string): void {
    if (this.#process === undefined || this.#cause !== undefined) return;
    this.#leave("planned", reason);
    this.#process.end();
    this.#grace = setTimeout(() => this.#process?.kill(), END_GRACE_MS);
  }

  /** Ends it for good; resolves when no process is left. */
  async stop(): Promise<void> {
    clearTimeout(this.#respawn);
    if (this.#process === undefined) return;
    const gone = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    this.end("the daemon stops");
    await gone;
  }

  #leave(cause: EndCause, reason: string): void {
    this.#cause = cause;
    this.#reason = reason;
    this.#state = "ending";
  }

  #spawn(): void {
    this.#respawn = undefined;
    this.#spawns++;
    this.#state = "starting";
    this.#cause = undefined;
    this.#spawnedMs = this.#nowMs();
    this.#oomKills = readOomKills();
    this.#process = new HostProcess(this.#hostPath, {
      ready: () => {
        if (this.#state !== "starting") return;
        this.#state = "ready";
        this.#reason = undefined;
        this.#events.ready();
      },
      frame: (frame) => this.#events.frame(frame),
      gone: (end) => this.#gone(end),
    });
  }

  #gone(end: HostEnd): void {
    clearTimeout(this.#grace);
    const cause = this.#cause ?? this.#causeOf(end);
    this.#reason = this.#cause === undefined ? describeEnd(end) : this.#reason;
    this.#process = undefined;
    this.#state = "down";
    this.#residentBytes = 0;
    this.#delayMs = cause === "planned" ? 0 : respawnDelayMs(this.#delayMs, this.#nowMs() - this.#spawnedMs);
    const isWanted = this.#events.ended(cause, this.#reason ?? "");
    if (this.#stopped !== undefined) this.#stopped();
    else if (isWanted && this.#process === undefined) this.#respawn = setTimeout(() => this.#spawn(), this.#delayMs);
  }

  #causeOf(end: HostEnd): EndCause {
    if (end.isProtocolMismatch) return "protocol";
    if (end.signal !== "SIGKILL") return "crash";
    // A kill that is not ours is the kernel's when it counts one more, and a person's otherwise.
    return readOomKills() > this.#oomKills ? "memory" : "killedFromOutside";
  }
}

function describeEnd(end: HostEnd): string {
  if (end.isProtocolMismatch) return "it speaks another version of the protocol; restart the daemon";
  const how = end.signal === null ? `it ended with code ${end.code}` : `it was ended by ${end.signal}`;
  const lastLine = end.lastWords.split("\n").at(-1) ?? "";
  return lastLine === "" ? how : `${how}: ${lastLine.slice(0, 200)}`;
}

function readOomKills(): number {
  try {
    return Number(/^oom_kill (\d+)/m.exec(readFileSync("/proc/vmstat", "latin1"))?.[1] ?? 0);
  } catch {
    // Without the kernel's count every such kill counts as a person's.
    return 0;
  }
}
