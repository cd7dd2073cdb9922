import { fstatSync } from "node:fs";
import { type DestinationStream, destination, pino, stdTimeFunctions } from "pino";
import type { Environment } from "../config/environment.ts";

/** Every field that a log line may have. */
export interface LogFields {
  event?: string;
  part?: string;
  agent?: string;
  key?: string;
  tool?: string;
  id?: string;
  text?: string;
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

/** Whose level may change while the process runs, and that of all its children with it. */
export interface RootLog extends Log {
  /** The least important line that is written. */
  level: string;
}

const STDOUT = 1;
const SHAPE = {
  base: {},
  timestamp: stdTimeFunctions.isoTime,
  formatters: { level: (label: string) => ({ level: label }) },
};

/** pino tells a stream with this mark the level of each line before it writes it. */
const TELLS_LEVEL = Symbol.for("pino.metadata");

/** Of pino's levels, those of syslog (sd-daemon(3)); the journal takes the prefix off and keeps it with the line. */
const PRIORITIES: Readonly<Record<number, string>> = { 20: "<7>", 30: "<6>", 40: "<4>", 50: "<3>", 60: "<2>" };
const WARNING = "<4>";

/** JSON lines on stdout, written synchronously: the last line before a crash is there. In the journal with priorities. */
export function createLog(
  level: string,
  environment: Environment = {},
  out: DestinationStream = destination({ fd: STDOUT, sync: true }),
): RootLog {
  return rootLog(level, isJournal(STDOUT, environment) ? prioritised(out) : out);
}

/** A child of pino's has the level of its parent at its birth: here they are told of each change. They live as long as it. */
function rootLog(level: string, out: DestinationStream): RootLog {
  const children: { level: string }[] = [];
  const root = pino({ level, ...SHAPE, onChild: (child) => void children.push(child) }, out);
  const log = root as unknown as Log;
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    fatal: (fields, message) => log.fatal(fields, message),
    child: (fields) => log.child(fields),
    get level() {
      return root.level;
    },
    set level(to: string) {
      for (const one of [root, ...children]) one.level = to;
    },
  };
}

function prioritised(out: DestinationStream): DestinationStream {
  const stream = {
    [TELLS_LEVEL]: true,
    lastLevel: 30,
    write: (line: string): void => void out.write(`${PRIORITIES[stream.lastLevel] ?? WARNING}${line}`),
  };
  return stream;
}

/**
 * The same lines for the journal, each as a warning there: what reaches people by the journal can be told from the
 * rest. Undefined where standard output does not lead to it.
 */
export function createJournalLog(
  environment: Environment,
  out: { write(line: string): unknown } = destination({ fd: STDOUT, sync: true }),
): Log | undefined {
  if (!isJournal(STDOUT, environment)) return undefined;
  return pino(SHAPE, { write: (line: string): void => void out.write(`${WARNING}${line}`) }) as unknown as Log;
}

/** systemd.exec(5): $JOURNAL_STREAM names the journal's end of standard output, by device and inode. */
function isJournal(fd: number, environment: Environment): boolean {
  try {
    const { dev, ino } = fstatSync(fd);
    return environment["JOURNAL_STREAM"] === `${dev}:${ino}`;
  } catch {
    return false; // standard output is closed
  }
}

/** The same lines for a person at a terminal, through `write`. */
export function createTerminalLog(level: string, render: (line: Record<string, unknown>) => string): RootLog {
  const sink = { write: (line: string): void => void process.stdout.write(render(JSON.parse(line))) };
  return rootLog(level, sink);
}
