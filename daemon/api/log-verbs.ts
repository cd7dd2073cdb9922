import { z } from "zod";
import { LOG_LEVEL_MINUTES, logLevels, MOST_LOG_LEVEL_MINUTES } from "../../sync/command.ts";
import type { LogLevel } from "../fleet/log-level.ts";
import type { AsPerson } from "./as-person.ts";
import type { Verb } from "./control-server.ts";

const schema = z.object({
  level: z.enum(logLevels),
  minutes: z.number().int().min(1).max(MOST_LOG_LEVEL_MINUTES).default(LOG_LEVEL_MINUTES),
});

/** What may be asked about the log from afar, by whoever may ask anything: it lets nothing more leave than before. */
export function logLevelVerbs(logLevel: Pick<LogLevel, "set">, asPerson: AsPerson): Readonly<Record<string, Verb>> {
  return {
    logLevel: asPerson("logLevel", schema, ({ name }, { level, minutes }) => logLevel.set(level, minutes, name)),
  };
}
