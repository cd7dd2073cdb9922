export const sourceErrors = {
  SOURCE_TOPIC: "The topic of a source can not be used.",
  SOURCE_KEY: "The key of a source names nothing that its messages have.",
  SOURCE_COLUMN: "A column is named that the source's header does not have.",
  SOURCE_FORMAT: "A source asks for something that its format does not have.",
  SOURCE_SCHEDULE: "The times of a schedule can not be read.",
} as const;

export type SourceErrorCode = keyof typeof sourceErrors;

/** A source that can not be built as it is configured; `code` is what callers branch on. */
export class SourceError extends Error {
  override readonly name = "SourceError";
  readonly code: SourceErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: SourceErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(sourceErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}
