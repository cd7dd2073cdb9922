import type { Io } from "../../daemon/commands/io.ts";

/** A command's surroundings, and what it printed. */
export function fakeIo(over: Partial<Io> = {}): Io & { readonly printed: () => string; readonly told: () => string } {
  let out = "";
  let err = "";
  return {
    environment: {},
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    terminal: false,
    columns: 120,
    stop: new AbortController().signal,
    ...over,
    printed: () => out,
    told: () => err,
  };
}
