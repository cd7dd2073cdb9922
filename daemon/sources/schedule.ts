import { createTask, type Logger, type ScheduledTask, validateDetailed } from "node-cron";
import type { ScheduleSourceConfig } from "../../config/agents.ts";
import type { Clock } from "../clock.ts";
import { SourceError } from "./errors.ts";

export interface ScheduleDeps {
  readonly clock: Pick<Clock, "wallMs">;
  /** `timeMs` is when the tick was due. */
  emit(timeMs: number): void;
}

/** The library's own words about late and missed ticks go nowhere: a tick that was missed is not made up for. */
const silent: Logger = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

/** Events by the clock on the wall: a pass at times that cron fields say. What was due while it slept is left out. */
export class ScheduleSource {
  readonly name = "schedule";
  readonly #deps: ScheduleDeps;
  readonly #config: Pick<ScheduleSourceConfig, "cron" | "timezone">;
  #task: ScheduledTask | undefined;

  constructor(deps: ScheduleDeps, config: Pick<ScheduleSourceConfig, "cron" | "timezone">) {
    const problem = scheduleProblem(config);
    if (problem !== undefined) throw new SourceError("SOURCE_SCHEDULE", { ...config }, { hint: problem });
    this.#deps = deps;
    this.#config = config;
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { timezone } = this.#config;
    this.#task = createTask(this.#config.cron, (context) => this.#deps.emit(context.date.getTime()), {
      logger: silent,
      suppressMissedWarning: true,
      ...(timezone === undefined ? {} : { timezone }),
    });
    await this.#task.start();
  }

  async stop(): Promise<void> {
    const task = this.#task;
    this.#task = undefined;
    await task?.destroy();
  }

  /** When the next tick is due; undefined while stopped. */
  nextMs(): number | undefined {
    return this.#task?.getNextRun()?.getTime();
  }
}

/** What is wrong with a schedule, in words; undefined when nothing is. For the check of a configuration. */
export function scheduleProblem(config: Pick<ScheduleSourceConfig, "cron" | "timezone">): string | undefined {
  const fields = config.cron.trim().split(/\s+/).length;
  if (fields !== 5 && fields !== 6)
    return `A schedule has five fields (minute, hour, day, month, weekday) or six with seconds first, not ${fields}.`;
  const { valid, errors } = validateDetailed(config.cron);
  if (!valid) return errors.map((error) => error.message).join("; ");
  if (config.timezone === undefined) return undefined;
  try {
    new Intl.DateTimeFormat("en", { timeZone: config.timezone });
    return undefined;
  } catch {
    // the only way to ask whether the runtime knows a zone
    return `There is no time zone ${config.timezone}; names are like Europe/Vienna.`;
  }
}
