export const enrolErrors = {
  ENROL_AUTHORITY: "The fleet's CA can not be used.",
  ENROL_EXISTS: "It is there already.",
  ENROL_NAME: "This can be no name of a fleet or a gateway.",
  ENROL_BROKER: "A gateway can not go to this broker: its URL has to begin with mqtts:// or wss://.",
  ENROL_TOKEN: "The fleet gave no such token.",
  ENROL_TOKEN_USED: "The token was used before, for another key.",
  ENROL_TOKEN_EXPIRED: "The token has expired.",
  ENROL_OTHER_NAME: "The request is for another gateway or fleet than who asks.",
  ENROL_REQUEST: "The request can not be read, or its key did not sign it.",
  ENROL_NOT_PROVEN: "Nothing shows that who asks has a valid certificate of this gateway.",
  ENROL_REVOKED: "The certificate is revoked.",
  ENROL_TOO_MANY: "Too many certificates were issued to this gateway today.",
} as const;

export type EnrolErrorCode = keyof typeof enrolErrors;

/** An error of making, signing and revoking; `code` is what callers branch on, and what a gateway is told. */
export class EnrolError extends Error {
  override readonly name = "EnrolError";
  readonly code: EnrolErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: EnrolErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(enrolErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}
