import type { RootLog } from "../log.ts";

interface Deps {
  readonly log: Pick<RootLog, "level" | "warn">;
  /** Writes down that it is over. Who asked for it is in the record of the command. */
  readonly record: (what: string, detail: Readonly<Record<string, unknown>>) => void;
  readonly nowMs: () => number;
}

const MINUTE_MS = 60_000;
const ORDER = ["debug", "info", "warn", "error"];

/** How much the daemon logs, changed for a limited time: a restart or the time's end brings the file's level back. */
export class LogLevel {
  readonly name = "log-level";
  readonly #deps: Deps;
  readonly #configured: string;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#configured = deps.log.level;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
  }

  /** The last one who asks is right. The file's own level ends a change early. */
  set(level: string, minutes: number, by: string): { readonly state: string } {
    clearTimeout(this.#timer);
    this.#turn(level, by);
    if (level === this.#configured) return { state: level };
    const untilMs = Math.floor(this.#deps.nowMs()) + minutes * MINUTE_MS;
    this.#timer = setTimeout(() => this.#back(level, by), minutes * MINUTE_MS).unref();
    return { state: `${level} until ${new Date(untilMs).toISOString()}` };
  }

  #back(from: string, by: string): void {
    this.#turn(this.#configured, by);
    this.#deps.record("log level is back", { from, to: this.#configured, by });
  }

  /** Told on the side of the change where a warning is seen. */
  #turn(to: string, person: string): void {
    const { log } = this.#deps;
    const from = log.level;
    const say = (): void => log.warn({ event: "logLevel", from, to, person }, "log level changed");
    const isQuieter = ORDER.indexOf(to) > ORDER.indexOf(from);
    if (isQuieter) say();
    log.level = to;
    if (!isQuieter) say();
  }
}
