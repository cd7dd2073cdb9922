export const storeErrors = {
  STORE_LOCKED: "Another daemon uses this data directory.",
  STORE_NEWER: "The database was written by a newer version.",
  STORE_NO_ROOM: "There is no room for a copy of the database before it is upgraded.",
  STORE_FOREIGN: "The file is a database of another program.",
  STORE_NOT_DURABLE: "The database does not keep synchronous=FULL.",
  STORE_CORRUPT: "The database can not be read.",
  STORE_UNUSABLE: "The data directory can not be used.",
  STORE_MISSING: "There is no database yet.",
  STORE_WRITER_GONE: "The store's writer thread ended.",
  STORE_READER_GONE: "The store's reader thread ended.",
  STORE_PROTOCOL: "The store's thread is of another version.",
  STORE_QUERY: "The query failed.",
  STORE_KEY: "The file holds no public key of a gateway.",
  STORE_EXPORT: "The file is no export of a log.",
  STORE_STOPPED: "The store is stopped.",
} as const;

export type StoreErrorCode = keyof typeof storeErrors;

/** An error of the log's storage; `code` is what callers branch on. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: StoreErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string | undefined } = {},
  ) {
    super(storeErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}

/** What crosses the boundary of a thread: an error as plain values. */
export interface StoreFailure {
  readonly code: StoreErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;
  readonly cause: string | undefined;
}

export function toFailure(error: unknown): StoreFailure {
  if (error instanceof StoreError) {
    const cause = error.cause === undefined ? undefined : String(error.cause);
    return { code: error.code, detail: error.detail, hint: error.hint, cause };
  }
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : undefined;
  const detail = { reason: error instanceof Error ? error.message : String(error), sqlite: code };
  return { code: "STORE_UNUSABLE", detail, hint: undefined, cause: error instanceof Error ? error.stack : undefined };
}

export function fromFailure(failure: StoreFailure): StoreError {
  return new StoreError(failure.code, failure.detail, { cause: failure.cause, hint: failure.hint });
}
