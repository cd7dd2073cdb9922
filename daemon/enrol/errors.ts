export const joinErrors = {
  JOIN_FILE: "This is no enrolment that can be used.",
  JOIN_NOT_BEGUN: "No request for a certificate was made here.",
  JOIN_ANSWER: "The answer is no certificate for this gateway.",
  JOIN_REFUSED: "The fleet gave no certificate.",
  JOIN_NO_ANSWER: "Nobody answered who signs certificates.",
  JOIN_IDENTITY: "The gateway's key and certificate can not be used.",
  JOIN_CONFIG: "The fleet's section can not be written into the gateway's file.",
} as const;

export type JoinErrorCode = keyof typeof joinErrors;

/** An error of joining a fleet and staying in it; `code` is what callers branch on. */
export class JoinError extends Error {
  override readonly name = "JoinError";
  readonly code: JoinErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: JoinErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string | undefined } = {},
  ) {
    super(joinErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}
