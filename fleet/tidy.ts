import type { FleetServerConfig } from "../config/fleet-server.ts";
import type { Database } from "./database.ts";

const EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;
const ROWS_AT_ONCE = 5000;
const PAUSE_MS = 50;

/** Lets records go that the fleet has kept for long enough, a few at a time. What is known of positions stays. */
export class Tidy {
  readonly name = "tidy";
  readonly #database: Database;
  readonly #days: readonly (number | undefined)[];
  readonly #log: { warn(fields: object, message: string): void };
  #timer: NodeJS.Timeout | undefined;
  #isStopping = false;
  #done: Promise<void> = Promise.resolve();

  constructor(
    database: Database,
    retention: FleetServerConfig["retention"],
    log: { warn(fields: object, message: string): void },
  ) {
    this.#database = database;
    this.#log = log;
    this.#days = [retention.safetyDays, retention.decisionsDays, retention.quietDays, retention.telemetryDays];
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => {
      this.#done = this.run(Date.now()).then(
        () => undefined,
        (err: unknown) => this.#log.warn({ err }, "old records could not be let go"),
      );
    }, EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#isStopping = true;
    await this.#done;
  }

  async run(nowMs: number): Promise<number> {
    let gone = 0;
    for (const [stream, days] of this.#days.entries()) {
      if (days === undefined) continue;
      for (;;) {
        const rows = await this.#database.query(
          `DELETE FROM record WHERE (gateway, epoch, stream, seq) IN (
             SELECT gateway, epoch, stream, seq FROM record WHERE stream = $1 AND received_at < to_timestamp($2 / 1000.0) LIMIT ${ROWS_AT_ONCE})
           RETURNING 1`,
          [stream, nowMs - days * DAY_MS],
        );
        gone += rows.length;
        if (rows.length < ROWS_AT_ONCE || this.#isStopping) break;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
    return gone;
  }
}
