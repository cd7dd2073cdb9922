export const configErrors = {
  CONFIG_SECRET_MISSING: "The file of a secret is not there.",
  CONFIG_SECRET_EXPOSED: "Every user of this machine can read the file of a secret.",
  CONFIG_SECRET_UNREADABLE: "The file of a secret can not be read.",
  CONFIG_SECRET_EMPTY: "The file of a secret is empty.",
} as const;

export type ConfigErrorCode = keyof typeof configErrors;

/** A secret that can not be had; mistakes in the configuration's text are values (`Problem`), not errors. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code: ConfigErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: ConfigErrorCode,
    detail: Readonly<Record<string, unknown>>,
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(configErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}
