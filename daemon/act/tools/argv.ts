import { placesIn } from "../../../config/template-syntax.ts";
import { fillText } from "../template.ts";
import type { Arguments } from "../tool.ts";

/** The kernel's own limit is 128 KiB for one (MAX_ARG_STRLEN), and a quarter of the stack for all. */
const MOST_ARGUMENT_BYTES = 100_000;
const MOST_BYTES = 1_000_000;

export type Argv =
  | { readonly ok: true; readonly argv: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/**
 * A program's arguments with each {name} filled. A value stays inside its argument, and can not become an option: where
 * a value would begin the argument with "-", it is refused, unless "--" stands before it.
 */
export function fillArgv(templates: readonly string[], given: Arguments): Argv {
  const argv: string[] = [];
  let bytes = 0;
  let areOptionsOver = false;
  for (const template of templates) {
    const text = placesIn(template).length === 0 ? template : fillText(template, given);
    const reason = mistakeIn(text, !areOptionsOver && !template.startsWith("-"));
    if (reason !== undefined) return { ok: false, reason };
    areOptionsOver ||= template === "--";
    bytes += Buffer.byteLength(text);
    argv.push(text);
  }
  return bytes > MOST_BYTES ? { ok: false, reason: "the arguments are too long together" } : { ok: true, argv };
}

function mistakeIn(text: string, mustNotBeOption: boolean): string | undefined {
  if (text.includes("\0")) return "an argument has a null character";
  if (Buffer.from(text).toString() !== text) return "an argument is no well-formed text";
  if (Buffer.byteLength(text) > MOST_ARGUMENT_BYTES) return "an argument is too long";
  if (mustNotBeOption && text.startsWith("-")) return 'an argument would be an option: put "--" before it';
  return undefined;
}
