export const syncErrors = {
  SYNC_RECORD_INVALID: "The line is not a record of this kind.",
  SYNC_RECORD_UNKNOWN: "The line is a record of a kind that this version does not know.",
  SYNC_MESSAGE_INVALID: "The message is not what this version of the wire says.",
  SYNC_NOT_SIGNED: "The message carries no signature, and this gateway knows keys of its fleet.",
  SYNC_SIGNATURE: "The signature is not one of a key of this gateway's fleet.",
  SYNC_LINK_DOWN: "There is no connection to the fleet.",
  SYNC_LINK_TOO_LARGE: "The message is larger than the fleet's broker takes.",
  SYNC_LINK_FULL: "Too many messages wait for the fleet's broker.",
  SYNC_COMMAND: "The command is not done.",
  SYNC_KEY: "This is no Ed25519 key.",
  SYNC_NOT_FOR_US: "The message is for another gateway or fleet.",
  SYNC_OTHER_SESSION: "The message answers an earlier connection.",
  SYNC_ACKNOWLEDGED_UNSENT: "The fleet acknowledged what was never there.",
  SYNC_CERTIFICATE: "This is no certificate.",
  SYNC_REQUEST: "This is no request for a certificate that its own key signed.",
  SYNC_BATCH_INVALID: "The batch is not what this version of the wire says.",
} as const;

export type SyncErrorCode = keyof typeof syncErrors;

/** An error of what gateway and fleet tell each other; `code` is what callers branch on. */
export class SyncError extends Error {
  override readonly name = "SyncError";
  readonly code: SyncErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: SyncErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(syncErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}
