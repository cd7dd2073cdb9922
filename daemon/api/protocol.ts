/** Version of the control socket's lines; a package upgrade may leave an old daemon with a new command. */
export const CONTROL_PROTOCOL = 1;

/** First line of both sides. */
export interface Hello {
  readonly holdfast: "control";
  readonly protocol: number;
  readonly version: string;
}

export interface Request {
  readonly verb: string;
  readonly parameters?: Record<string, unknown>;
}

/** A request is answered by any number of `item` lines and one `result` or `error` line. */
export type Reply =
  | { readonly item: unknown }
  | { readonly result: unknown }
  | {
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly detail?: Readonly<Record<string, unknown>>;
        readonly hint?: string;
      };
    };

/** Splits a byte stream into lines; `line` gets each complete one. Longer than `maxBytes` is refused. */
export function lineSplitter(line: (text: string) => void, tooLong: () => void, maxBytes = 1_048_576) {
  let rest = "";
  return (chunk: string): void => {
    rest += chunk;
    let end = rest.indexOf("\n");
    while (end >= 0) {
      line(rest.slice(0, end));
      rest = rest.slice(end + 1);
      end = rest.indexOf("\n");
    }
    if (rest.length > maxBytes) tooLong();
  };
}
