import type { z } from "zod";
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

export type Path = readonly PropertyKey[];

/** A mistake before it has a place. `at` key: the key itself is wrong, not its value. */
export interface Finding {
  readonly path: Path;
  readonly at: "key" | "value";
  readonly message: string;
  readonly hint?: string | undefined;
}

/** A path as people write it: `agents.pump.rules[0].when`. */
export function pathText(path: Path): string {
  let text = "";
  for (const part of path) text += typeof part === "number" ? `[${part}]` : `${text === "" ? "" : "."}${String(part)}`;
  return text;
}

/** A found value in words, short. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "a map";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…"` : text;
}

const KIND_WORDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map",
  record: "a map",
};

type Issue = z.core.$ZodIssue;

/** zod's issues in plain words. `keysAt` names the keys that may stand at a path, for "did you mean". */
export function findings(issues: readonly Issue[], keysAt: (path: Path) => readonly string[], base: Path = []): Finding[] {
  return issues.flatMap((issue) => fromIssue(issue, [...base, ...issue.path], keysAt));
}

function fromIssue(issue: Issue, path: Path, keysAt: (path: Path) => readonly string[]): Finding[] {
  const input = (issue as { input?: unknown }).input;
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey(path, key, keysAt(path)));
    case "invalid_union":
      return union(issue, path, keysAt, input);
    case "invalid_type":
      return [typeMistake(path, issue.expected, input)];
    case "invalid_value":
      return [value(path, `expected ${choices(issue.values)}, found ${shown(input)}`, didYouMean(String(input), issue.values.map(String)))];
    case "too_small":
      return [value(path, `expected ${sized(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum)}, found ${shown(input)}`)];
    case "too_big":
      return [value(path, `expected ${sized(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum)}, found ${shown(input)}`)];
    case "invalid_format":
      return [value(path, `${shown(input)} does not have the expected form${formOf(issue)}`)];
    case "invalid_key":
      return [{ path, at: "key", message: `the name ${shown(path.at(-1))} does not have the expected form`, hint: "Names begin with a letter or digit and go on with letters, digits and _ (most also - and .)." }];
    default:
      return [value(path, issue.message)];
  }
}

function value(path: Path, message: string, hint?: string): Finding {
  return { path, at: "value", message, hint };
}

function typeMistake(path: Path, expected: string, input: unknown): Finding {
  const wanted = KIND_WORDS[expected] ?? expected;
  if (input === undefined) return value(path, `is missing; expected ${wanted}`);
  if (input === null) return value(path, `has no value; expected ${wanted}`);
  const hint = wanted === "text" ? "Put it in quotes." : undefined;
  return value(path, `expected ${wanted}, found ${shown(input)}`, typeof input === "object" ? undefined : hint);
}

const SECRET_WORDS: Readonly<Record<string, string>> = { password: "passwordFile", secret: "secretFile", token: "secretFile", key: "keyFile" };

function unknownKey(path: Path, key: string, known: readonly string[]): Finding {
  const fileKey = SECRET_WORDS[key];
  const hint =
    fileKey !== undefined && known.includes(fileKey)
      ? `Secrets are never written here: put it in a file and name it with ${fileKey}.`
      : (didYouMean(key, known) ?? (known.length > 0 && known.length <= 24 ? `Known here: ${known.join(", ")}.` : undefined));
  return { path: [...path, key], at: "key", message: `unknown key "${key}"`, hint };
}

function union(issue: Extract<Issue, { code: "invalid_union" }>, path: Path, keysAt: (path: Path) => readonly string[], input: unknown): Finding[] {
  const { discriminator, options } = issue as { discriminator?: string; options?: readonly unknown[] };
  if (discriminator !== undefined) {
    const found = (input as Record<string, unknown> | undefined)?.[discriminator];
    const names = (options ?? []).map(String);
    const at = found === undefined && path.at(-1) === discriminator ? path.slice(0, -1) : path;
    return [value(at, `expected ${discriminator} to be ${choices(names)}, found ${shown(found)}`, didYouMean(String(found), names))];
  }
  // Of several forms the one that fits best speaks: the one whose mistakes lie deepest, else all of them.
  const nested = issue.errors.map((errors) => findings(errors, keysAt, path));
  const deepest = nested.filter((list) => list.every((one) => one.path.length > path.length));
  const [best] = deepest.sort((a, b) => a.length - b.length);
  if (best !== undefined && deepest.length === 1) return best;
  const forms = [...new Set(issue.errors.flatMap((errors) => errors.map((one) => ("expected" in one ? (KIND_WORDS[String(one.expected)] ?? String(one.expected)) : "values" in one ? choices((one as { values: readonly unknown[] }).values) : "another form"))))];
  return [value(path, `expected ${forms.join(" or ")}, found ${shown(input)}`)];
}

function choices(values: readonly unknown[]): string {
  const texts = values.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
  return texts.length === 1 ? (texts[0] as string) : `one of ${texts.join(", ")}`;
}

function sized(origin: string, word: string, bound: number | bigint): string {
  if (origin === "string") return `text with ${word} ${bound} characters`;
  if (origin === "array") return `a list with ${word} ${bound} entries`;
  return word === "more than" || word === "less than" ? `a number ${word === "more than" ? "greater" : "less"} than ${bound}` : `a number of ${word} ${bound}`;
}

function formOf(issue: Issue): string {
  const pattern = (issue as { pattern?: string }).pattern;
  return pattern === undefined ? "" : ` (${pattern})`;
}

export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const best = nearest(word, known);
  return best === undefined ? undefined : `Did you mean "${best}"?`;
}
