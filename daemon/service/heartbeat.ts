import type { Component } from "../lifecycle.ts";
import type { Log } from "../log.ts";
import type { Notify } from "./notify.ts";

interface Deps {
  readonly notify: Notify;
  readonly log: Log;
  /** Resolves when the store's writer has answered. */
  readonly writer: () => Promise<unknown>;
  /** Whether the database is still being looked at, salvaged, copied. */
  readonly isOpening: () => boolean;
  readonly nowMs: () => number;
  /** One line of how it is, for `systemctl status`. */
  readonly text: () => string;
  /** The same before it is ready. */
  readonly starting: () => string;
}

export interface HeartbeatOptions {
  /** The manager kills who says nothing for so long; undefined: it does not. */
  readonly watchdogMs: number | undefined;
}

const EXTEND_EVERY_MS = 10_000;
const EXTEND_BY_MS = 30_000;
/** For all that comes after the database: models, connections. */
const REST_MS = 90_000;
/** A database that is checked or salvaged takes minutes on a slow card; beyond this something hangs. */
const LONGEST_START_MS = 30 * 60_000;
/** How often the line in `systemctl status` is renewed where no watchdog is fed. */
const TELL_MS = 30_000;

/**
 * The first part to start and the last to stop. While the database is looked at it asks for more time, and for nothing
 * else: a start that hangs elsewhere has to end. When it is told `ready` it says that it is alive, each time only after the writer has answered: the timer shows that the loop turns, the answer that the log is
 * written. Inference hosts have deadlines of their own, so one that hangs keeps nothing from being fed.
 */
export class Heartbeat implements Component {
  readonly name = "heartbeat";
  readonly #deps: Deps;
  readonly #everyMs: number;
  readonly #feeds: boolean;
  #timer: NodeJS.Timeout | undefined;
  #startedMs = 0;
  #isReady = false;
  #isAsking = false;
  #isSilent = false;

  constructor(deps: Deps, { watchdogMs }: HeartbeatOptions) {
    this.#deps = deps;
    this.#feeds = watchdogMs !== undefined;
    // A third: one that is late or lost is made good by the next.
    this.#everyMs = watchdogMs === undefined ? TELL_MS : watchdogMs / 3;
  }

  async start(): Promise<void> {
    this.#startedMs = this.#deps.nowMs();
    await this.#say(`EXTEND_TIMEOUT_USEC=${EXTEND_BY_MS * 1000}`, `STATUS=${this.#deps.starting()}`);
    this.#timer = setInterval(() => this.#extend(), EXTEND_EVERY_MS);
    this.#timer.unref();
  }

  /** Everything else has started. */
  async ready(): Promise<void> {
    clearInterval(this.#timer);
    this.#isReady = true;
    await this.#say("READY=1", `STATUS=${this.#deps.text()}`);
    this.#timer = setInterval(() => this.#beat(), this.#everyMs);
    this.#timer.unref();
  }

  /** It is about to stop: before any other part does. */
  async stopping(): Promise<void> {
    clearInterval(this.#timer);
    this.#isReady = false;
    await this.#say("STOPPING=1", "STATUS=stops: finishes what is under way");
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }

  #extend(): void {
    const isOpening = this.#deps.isOpening();
    if (!isOpening) clearInterval(this.#timer);
    if (this.#deps.nowMs() - this.#startedMs > LONGEST_START_MS) return;
    const byMs = isOpening ? EXTEND_BY_MS : REST_MS;
    void this.#say(`EXTEND_TIMEOUT_USEC=${byMs * 1000}`, `STATUS=${this.#deps.starting()}`);
  }

  /** One question at a time: a writer that hangs is asked once, and nothing is said for it. */
  #beat(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#deps
      .writer()
      .then(async () => {
        if (this.#isReady) await this.#say(...(this.#feeds ? ["WATCHDOG=1"] : []), `STATUS=${this.#deps.text()}`);
      })
      .catch((err: unknown) => this.#deps.log.warn({ part: this.name, err }, "the store's writer gives no answer"))
      .finally(() => {
        this.#isAsking = false;
      });
  }

  /** That the manager can not be told keeps the gateway from nothing; it is said once. */
  async #say(...assignments: readonly string[]): Promise<void> {
    try {
      await this.#deps.notify(...assignments);
      this.#isSilent = false;
    } catch (err) {
      if (!this.#isSilent) this.#deps.log.warn({ part: this.name, err }, "the service manager could not be told");
      this.#isSilent = true;
    }
  }
}
