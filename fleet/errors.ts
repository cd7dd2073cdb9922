import type { Problem } from "../config/problems.ts";

export const fleetErrors = {
  FLEET_SUPPORT: "No support bundle of this gateway has come here.",
  FLEET_CONFIG: "The fleet's configuration has mistakes.",
  FLEET_DATABASE: "The fleet's database can not be used.",
  FLEET_DATABASE_NEWER: "The fleet's database is of a newer version.",
  FLEET_SCATTERED: "A stream of a gateway has too many holes to keep count of.",
  FLEET_KEY: "The collector's key can not be used.",
  FLEET_BUSY: "Another process has the database folder open.",
  FLEET_IMPORT: "The folder holds no export of this fleet.",
  FLEET_COMMAND: "The file holds no command that can be sent.",
  FLEET_PROPOSAL: "The fleet can not say what the action would do.",
  FLEET_BROKER: "None of the fleet's brokers takes the command.",
} as const;

export type FleetErrorCode = keyof typeof fleetErrors;

/** An error of the fleet's end; `code` is what callers branch on. */
export class FleetError extends Error {
  override readonly name = "FleetError";
  readonly code: FleetErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: FleetErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(fleetErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}

/** Mistakes in the fleet's file, each with its place. */
export class FleetConfigInvalid extends FleetError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super("FLEET_CONFIG", {});
    this.problems = problems;
  }
}
