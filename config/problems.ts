import { nearest } from "./nearest.ts";

/** One mistake in a configuration: where it stands, what was found and expected, and what may help. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
}

/** Keys from the top of a configuration to a value. */
export type Path = readonly PropertyKey[];

/** A mistake before it has a place. `at` key: the key itself is wrong, not its value. */
export interface Finding {
  readonly path: Path;
  readonly at: "key" | "value";
  readonly message: string;
  readonly hint?: string | undefined;
}

export function atValue(path: Path, message: string, hint?: string): Finding {
  return { path, at: "value", message, hint };
}

export function atKey(path: Path, message: string, hint?: string): Finding {
  return { path, at: "key", message, hint };
}

/** A path as people write it: `agents.pump.rules[0].when`. */
export function pathText(path: Path): string {
  let text = "";
  for (const part of path) text += typeof part === "number" ? `[${part}]` : `${text === "" ? "" : "."}${String(part)}`;
  return text;
}

const LONGEST_SHOWN = 60;

/** A found value in words, short. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "no value";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  // Without user and password of a URL.
  const text = typeof value === "string" ? JSON.stringify(value).replace(/\/\/[^/@\s]*@/, "//…@") : String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 3)}…"` : text;
}

export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const best = nearest(word, known);
  return best === undefined ? undefined : `Did you mean "${best}"?`;
}

const LONGEST_LIST = 24;

/** The nearest name, else all of them when they are few, else what to do. */
export function suggest(word: string, known: readonly string[], otherwise?: string): string | undefined {
  const near = didYouMean(word, known);
  if (near !== undefined || known.length === 0 || known.length > LONGEST_LIST) return near ?? otherwise;
  return `Known here: ${known.join(", ")}.`;
}

/** Mistakes in the order in which a person meets them: file, line, column; each one once. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const once = new Map(problems.map((one) => [`${one.file}\0${one.line}\0${one.column}\0${one.message}`, one]));
  const files = [...new Set(problems.map((one) => one.file))];
  return [...once.values()].sort(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  );
}
