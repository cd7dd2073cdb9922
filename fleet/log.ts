import { destination, pino, stdTimeFunctions } from "pino";

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const STDOUT = 1;

/** One JSON object a line on standard output, written at once: the service manager keeps it. */
export function createLog(): Log {
  return pino(
    { base: {}, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    destination({ dest: STDOUT, sync: true }),
  );
}
