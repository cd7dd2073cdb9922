/** Stands where a value is not to be shown. */
export const PRIVATE = "(private)";

type Json = Record<string, unknown>;

/** Members whose own members are values by name. */
const VALUES = ["inputs", "fields", "queries", "arguments"] as const;
/** Members with free text that may quote a value. */
const TEXTS = ["reason", "target"] as const;
/** A text shorter than this stands in too many others by chance. */
const SHORTEST_QUOTE = 3;
/** What an expression says of an error without quoting what it read. */
const HARMLESS =
  /^error: (?:[\w.[\]"-]+ (?:has no value|is not [a-z ]+)|(?:int|uint|double) (?:divide|modulus) by zero|(?:int|uint) overflow during [\w ]+|found no matching overload for .*|the list has no such place|the condition is not true or false|unknown)$/;

/**
 * A record's body as it may leave the gateway: values that its `private` names are replaced, wherever they stand. The
 * body itself where it names none.
 */
export function redact<T extends object>(record: T): { readonly body: T; readonly redacted: boolean } {
  const body = record as Json;
  const names = new Set(Array.isArray(body["private"]) ? (body["private"] as unknown[]).map(String) : []);
  if (names.size === 0) return { body: record, redacted: false };
  const quotes = new Set<string>();
  const hidden: Json = { ...body };
  for (const member of VALUES) if (isObject(body[member])) hidden[member] = withoutValues(body[member], names, quotes);
  if (body["context"] !== undefined) hidden["context"] = withoutValues(body["context"], names, quotes);
  const texts = longestFirst(quotes);
  for (const member of TEXTS)
    if (typeof body[member] === "string") hidden[member] = withoutQuotes(body[member] as string, texts);
  if (Array.isArray(body["rules"])) hidden["rules"] = body["rules"].map(withoutError);
  return { body: hidden as T, redacted: true };
}

/** A text about an action, without what it may quote of arguments made from private fields. */
export function withoutArguments(
  text: string,
  made: { readonly arguments: Readonly<Record<string, unknown>>; readonly private?: readonly string[] | undefined },
): string {
  const quotes = new Set<string>();
  for (const name of made.private ?? []) note(made.arguments[name], quotes);
  return withoutQuotes(text, longestFirst(quotes));
}

/** Replaces members with these names at any depth, and notes what stood there. */
function withoutValues(value: unknown, names: ReadonlySet<string>, quotes: Set<string>): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutValues(item, names, quotes));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      if (!names.has(name)) return [name, withoutValues(item, names, quotes)];
      note(item, quotes);
      return [name, PRIVATE];
    }),
  );
}

function note(value: unknown, quotes: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) note(item, quotes);
  else if (isObject(value)) for (const item of Object.values(value)) note(item, quotes);
  else if (typeof value === "string" || typeof value === "number") {
    const text = String(value);
    if (text.length >= SHORTEST_QUOTE) quotes.add(text);
  }
}

function longestFirst(quotes: ReadonlySet<string>): string[] {
  return [...quotes].sort((a, b) => b.length - a.length);
}

function withoutQuotes(text: string, quotes: readonly string[]): string {
  return quotes.reduce((rest, quote) => rest.replaceAll(quote, PRIVATE), text);
}

/** An error may quote a part of a value, or what was made of it: of errors only what certainly quotes nothing is shown. */
function withoutError(rule: unknown): unknown {
  if (!isObject(rule) || typeof rule["why"] !== "string") return rule;
  const isTelling = rule["why"].startsWith("error: ") && !HARMLESS.test(rule["why"]);
  return isTelling ? { ...rule, why: `error: ${PRIVATE}` } : rule;
}

/** Why an expression has no value, where what it read is private. */
export function withoutPrivateQuotes(reason: string): string {
  return HARMLESS.test(`error: ${reason}`) ? reason : PRIVATE;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
