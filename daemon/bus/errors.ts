export const busErrors = {
  BUS_PORT_TAKEN: "Another program listens on the bus's port.",
  BUS_ADDRESS: "The bus can not listen on this address.",
  BUS_OPEN_TO_ALL: "The bus would be open to everyone on the network.",
  BUS_LIBRARY: "The broker library is not the version this was made for.",
  BUS_CERTIFICATE: "The certificates and the key of the bus can not be used together.",
  BUS_SECRET: "A file with a secret for the bus can not be read.",
} as const;

export type BusErrorCode = keyof typeof busErrors;

/** An error of the LAN bus; `code` is what callers branch on. */
export class BusError extends Error {
  override readonly name = "BusError";
  readonly code: BusErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: BusErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super(busErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}
