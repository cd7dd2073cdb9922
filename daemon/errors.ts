import type { Problem } from "../config/load.ts";

export const daemonErrors = {
  CONFIG_INVALID: "The configuration has mistakes.",
  ALREADY_RUNNING: "Another daemon uses this data directory.",
  NOT_RUNNING: "No daemon answers for this data directory.",
  NO_FLEET: "This gateway belongs to no fleet.",
  NO_ANSWER: "The daemon does not answer.",
  STOP_DEADLINE: "The daemon did not stop in time.",
  SOCKET_TAKEN: "The control socket is in use.",
  SOCKET_PROTOCOL: "The daemon speaks another version of the control protocol.",
  NO_SUCH_AGENT: "No agent has this name.",
  NO_SUCH_TOOL: "No tool has this name.",
  NO_SUCH_PROPOSAL: "No action of this id waits for a person.",
  NO_SUCH_DECISION: "No decision has this id.",
  NO_DATA: "There is no database yet.",
  MODEL_UNUSABLE: "A model that the configuration names can not be used.",
  INPUT_FILE: "The input file can not be used.",
  BROKER_UNREACHABLE: "The broker can not be reached.",
  CHAIN_BROKEN: "The log's hash chain does not fit its rows.",
  LATCH_NONCE: "The latch that is set is another one than the one to be released.",
  LATCH_NOT_RELEASED: "The latch could not be released: effects are still stopped.",
  NOT_STOPPED: "Nothing shows that effects are stopped.",
  MODE_CEILING: "The gateway's file allows no more than its own mode.",
  MODE_SCOPE: "No agent or tool has this name.",
  MODE_NOT_KEPT: "The change could not be written down.",
  NOT_ALLOWED: "This person may not do that.",
  PERSON_UNKNOWN: "Nobody is known by this token or signature.",
  REQUEST_INVALID: "The request is not one that the daemon understands.",
  NOTHING_TO_REPLAY: "There are no recorded decisions to try the candidate on.",
  NOT_REPRODUCIBLE: "The decision can not be run again with what is stored.",
} as const;

export type DaemonErrorCode = keyof typeof daemonErrors;

/** An error of the running process or of a command; `code` is what callers branch on. */
export class DaemonError extends Error {
  override readonly name = "DaemonError";
  readonly code: DaemonErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: DaemonErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(daemonErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}

/** The configuration was refused; every mistake is in `problems`. */
export class ConfigInvalid extends Error {
  override readonly name = "ConfigInvalid";
  readonly code = "CONFIG_INVALID";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(daemonErrors.CONFIG_INVALID);
    this.problems = problems;
  }
}

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_CONFIG = 78;

/** Exit status by kind of error: systemd does not restart on 78 (RestartPreventExitStatus). */
export function exitStatus(error: unknown): number {
  return error instanceof ConfigInvalid ? EXIT_CONFIG : EXIT_FAILED;
}
