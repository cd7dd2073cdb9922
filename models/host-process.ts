import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import type { Duplex, Readable } from "node:stream";
import {
  decodeJson,
  EXIT_PROTOCOL,
  encodeJson,
  type Frame,
  FrameReader,
  FrameType,
  PROTOCOL_VERSION,
} from "./host/frames.ts";

/** How a host ended. */
export interface HostEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** It said another protocol version than ours, or refused ours. */
  readonly isProtocolMismatch: boolean;
  /** The last that it wrote to stderr. */
  readonly lastWords: string;
}

export interface HostEvents {
  ready(): void;
  frame(frame: Frame): void;
  /** Called once, after the last frame. */
  gone(end: HostEnd): void;
}

const STDERR_KEPT_BYTES = 2000;
/** glibc keeps freed memory per arena; one arena lets reloaded models give theirs back. */
const ENVIRONMENT = { MALLOC_ARENA_MAX: "1", UV_THREADPOOL_SIZE: "1" };
/** A host holds few JavaScript objects: small young space, no optimised code for what runs once. */
const NODE_FLAGS = ["--max-semi-space-size=2", "--max-old-space-size=256"];
/** Where memory may not be written and run (systemd's MemoryDenyWriteExecute), it may not here either: it is inherited. */
const INHERITED_FLAGS = process.execArgv.filter((flag) => flag === "--jitless");

/**
 * A host that hangs in a run can not see that its pipe closed. util-linux's setpriv has the kernel kill it when the
 * daemon dies; where that program is another one, or missing, hosts start without it.
 */
const SETPRIV = "/usr/bin/setpriv";
let canTieToParent = existsSync(SETPRIV);

/** Another user that root starts a host as. */
export interface RunAs {
  readonly uid?: number;
  readonly gid?: number;
}

function start(hostPath: string, runAs: RunAs): ChildProcess {
  const command = [process.execPath, ...NODE_FLAGS, ...INHERITED_FLAGS, hostPath];
  const [program, ...args] = canTieToParent ? [SETPRIV, "--pdeathsig", "KILL", "--", ...command] : command;
  return spawn(program as string, args, {
    ...{ ...runAs, cwd: "/", env: ENVIRONMENT },
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
}

/** One child process with its pipe: spawned, greeted, fed with frames, ended. */
export class HostProcess {
  readonly #child: ChildProcess;
  readonly #pipe: Duplex;
  readonly #events: HostEvents;
  #isMismatch = false;
  #isReady = false;
  #isGone = false;
  #lastWords = "";

  constructor(hostPath: string, events: HostEvents, runAs: RunAs = {}) {
    this.#events = events;
    this.#child = start(hostPath, runAs);
    this.#pipe = this.#child.stdio[3] as Duplex;
    this.#listen();
    this.#pipe.write(encodeJson(FrameType.hello, 0, 0, { protocol: PROTOCOL_VERSION }));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  send(frame: Buffer): void {
    if (!this.#pipe.destroyed && this.#pipe.writable) this.#pipe.write(frame);
  }

  /** Closes the pipe: the host ends when it is through with its run. */
  end(): void {
    this.#pipe.end();
  }

  /** Ends it now, in the middle of whatever it does. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Resident memory of the process now, 0 when it is gone. */
  residentBytes(): number {
    if (this.#isGone || this.#child.pid === undefined) return 0;
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, "latin1");
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      // It ended between the two lines.
      return 0;
    }
  }

  #listen(): void {
    const reader = new FrameReader((frame) => this.#take(frame));
    this.#pipe.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch {
        // What comes after a damaged frame means nothing; SIGABRT, so that it counts as a crash.
        this.#child.kill("SIGABRT");
      }
    });
    // The child's end is what counts; a pipe that breaks only comes before it.
    this.#pipe.on("error", () => {});
    (this.#child.stderr as Readable).setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-STDERR_KEPT_BYTES);
    });
    this.#child.on("error", (error) => {
      if (this.#child.pid === undefined) this.#end(null, null, error.message);
    });
    // "close" comes after the pipes are read to their ends, so no answer is lost that was given before a crash.
    this.#child.on("close", (code, signal) => this.#end(code, signal, this.#lastWords));
  }

  #take(frame: Frame): void {
    if (this.#isReady) {
      this.#events.frame(frame);
      return;
    }
    const hello = frame.type === FrameType.hello ? (decodeJson(frame) as { protocol?: unknown }) : undefined;
    if (hello?.protocol !== PROTOCOL_VERSION) {
      this.#isMismatch = true;
      this.end();
      return;
    }
    this.#isReady = true;
    this.#events.ready();
  }

  #end(code: number | null, signal: NodeJS.Signals | null, lastWords: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#pipe.destroy();
    if (!this.#isReady && signal === null && /setpriv/.test(lastWords)) canTieToParent = false;
    const isProtocolMismatch = this.#isMismatch || code === EXIT_PROTOCOL;
    this.#events.gone({ code, signal, isProtocolMismatch, lastWords: lastWords.trim() });
  }
}
