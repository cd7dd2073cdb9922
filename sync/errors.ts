export const syncErrors = {
  SYNC_RECORD_INVALID: "The line is not a record of this kind.",
  SYNC_RECORD_UNKNOWN: "The line is a record of a kind that this version does not know.",
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
