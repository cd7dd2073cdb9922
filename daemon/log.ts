import { destination, pino, stdTimeFunctions } from "pino";

/** Every field that a log line may have. */
export interface LogFields {
  event?: string;
  part?: string;
  agent?: string;
  key?: string;
  tool?: string;
  id?: string;
  model?: string;
  version?: number | string;
  topic?: string;
  source?: string;
  reason?: string;
  count?: number;
  bytes?: number;
  attempt?: number;
  delayMs?: number;
  durationMs?: number;
  from?: string;
  to?: string;
  bus?: string;
  data?: string;
  config?: string;
  mode?: string;
  person?: string;
  scope?: string;
  generation?: string;
  epoch?: number;
  pid?: number;
  lane?: string;
  code?: string;
  hint?: string;
  signal?: string;
  problem?: unknown;
  err?: unknown;
}

/** Writes one line: the fields, and a short phrase that is always the same. */
type Say = (fields: LogFields, message: string) => void;

/** The logger as the daemon uses it: the compiler holds the sources to the fields there are. */
export interface Log {
  readonly debug: Say;
  readonly info: Say;
  readonly warn: Say;
  readonly error: Say;
  readonly fatal: Say;
  child(fields: LogFields): Log;
}

/** JSON lines on stdout, written synchronously: the last line before a crash is there. */
export function createLog(level: string): Log {
  const options = {
    level,
    base: {},
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, destination({ fd: 1, sync: true })) as unknown as Log;
}

/** The same lines for a person at a terminal, through `write`. */
export function createTerminalLog(level: string, render: (line: Record<string, unknown>) => string): Log {
  const sink = { write: (line: string): void => void process.stdout.write(render(JSON.parse(line))) };
  return pino(
    { level, base: {}, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    sink,
  ) as unknown as Log;
}
