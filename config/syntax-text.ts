import { shown } from "./problems.ts";

/** The YAML library's mistakes in plain words, by its code. */
const TEXTS: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: "a tab is used to indent",
  MULTIPLE_DOCS: "a second document begins here; a configuration file is one document",
  BAD_INDENT: "this line is indented neither like the lines before it nor like the part it belongs to",
  BLOCK_AS_IMPLICIT_KEY: "a second key: value begins inside a value",
  MULTILINE_IMPLICIT_KEY: "a key goes on over the end of its line",
  TAG_RESOLVE_FAILED: "tags (a word after !) are not used in a configuration",
};

const HINTS: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: "Indent with spaces.",
  MULTIPLE_DOCS: "Remove the line with ---, or put the second part into a file of its own in conf.d.",
  BAD_INDENT: "Keys of one map begin in the same column; a bracket that is open must be closed.",
  BLOCK_AS_IMPLICIT_KEY:
    "Put text with a colon in quotes; indent keys that belong to the same map by the same number of spaces.",
  MULTILINE_IMPLICIT_KEY: "Is there a colon missing after a key, or a quote that is not closed?",
  MISSING_CHAR: "Is there a colon missing after a key, or a quote or bracket that is not closed?",
  TAG_RESOLVE_FAILED: "Text that begins with ! must be in quotes.",
  BAD_SCALAR_START: "Text that begins with one of @ ` % | > must be in quotes.",
  BAD_DQ_ESCAPE: "In double quotes a backslash begins an escape: write two of them, or use single quotes.",
};

export function syntaxText(code: string, message: string): string {
  if (code === "MISSING_CHAR" && /quote/.test(message)) return "a quote is opened and not closed";
  if (code === "MISSING_CHAR" && /followed by/.test(message)) return "a key has no colon after it";
  const first = message.split("\n", 1)[0] ?? message;
  return TEXTS[code] ?? `this is not YAML: ${first.slice(0, 1).toLowerCase()}${first.slice(1)}`;
}

export function syntaxHint(code: string, text: string, offset: number): string | undefined {
  const before = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  // The commonest trap: { topic: plant/{pump}/state }, where the inner brace ends the text.
  if (code === "UNEXPECTED_TOKEN" && /[{[]/.test(before))
    return "Inside { } and [ ], put text with { } [ ] or a comma in quotes.";
  return HINTS[code];
}

type Told = [message: string, hint: string];

export const emptyFileText: Told = [
  "the file is empty",
  "Begin with one of config/examples: an agent is what makes a gateway useful.",
];

export function topLevelText(value: unknown): Told {
  return [
    `expected a map with keys such as device, bus and agents, found ${shown(value)}`,
    "Each setting is written as key: value.",
  ];
}
