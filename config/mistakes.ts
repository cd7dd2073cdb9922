import type { z } from "zod";
import { expectation } from "./expectation.ts";
import { atKey, atValue, didYouMean, type Finding, type Path, shown, suggest } from "./problems.ts";
import { keysOf, partOfValue, type SchemaNode, schemaAt } from "./schema-tree.ts";

type Issue = z.core.$ZodIssue;

/** What zod found wrong with `root`, in plain words: what stands there, what was expected, and what may help. */
export function mistakes(root: unknown, issues: readonly Issue[], most: number): Finding[] {
  return issues
    .slice(0, most)
    .flatMap((issue) => mistake(root, issue, issue.path, most))
    .slice(0, most);
}

function mistake(root: unknown, issue: Issue, path: Path, most: number): Finding[] {
  if (issue.code === "unrecognized_keys") return issue.keys.slice(0, most).map((key) => unknownKey(root, path, key));
  if (issue.code === "invalid_key") return [wrongName(path)];
  if (issue.code === "invalid_union") return union(root, issue, path, most);
  return [wrongValue(root, path, issue.message)];
}

function wrongValue(root: unknown, path: Path, otherwise: string): Finding {
  const key = lastName(path);
  const { node, value } = schemaAt(root, path);
  const wanted = node === undefined ? undefined : expectation(node, key);
  if (wanted === undefined) return atValue(path, otherwise);
  if (value === undefined) return atValue(path, `"${key}" is missing: expected ${wanted}`, exampleHint(node, key));
  if (value === null)
    return atValue(path, `"${key}" has no value: expected ${wanted}`, "Give it a value, or leave the key out.");
  const isCount = Array.isArray(value) && node?.type === "array";
  if (isCount)
    return atValue(path, `expected ${wanted}, found ${value.length === 0 ? "an empty list" : `${value.length}`}`);
  // What stands there may be the secret itself, of which a hash was wanted.
  const found = node?.secret === true ? "something else" : shown(value);
  return atValue(path, `expected ${wanted}, found ${found}`, valueHint(node as SchemaNode, value));
}

function lastName(path: Path): string {
  return String(path.findLast((part) => typeof part !== "number") ?? "");
}

function exampleHint(node: SchemaNode | undefined, key: string): string | undefined {
  const [example] = node?.examples ?? [];
  return example === undefined ? undefined : `For example ${key}: ${JSON.stringify(example)}.`;
}

/** Mistakes that YAML makes easy, each with its way out. */
function valueHint(node: SchemaNode, value: unknown): string | undefined {
  if (node.enum !== undefined) return didYouMean(String(value), node.enum.map(String));
  if (typeof value === "string") return textHint(node, value);
  if (node.type === "string" && typeof value === "object") return bracesHint(value);
  if (node.type === "string") return "Put it in quotes.";
  if (node.type === "array") return "Write it as a list: [ … ], or one entry a line, each after a dash.";
  return node.type === "integer" && typeof value === "number" && !Number.isInteger(value)
    ? "Leave the fraction out."
    : undefined;
}

function textHint(node: SchemaNode, value: string): string | undefined {
  const isNumber = node.type === "number" || node.type === "integer";
  if (isNumber && value.trim() !== "" && Number.isFinite(Number(value))) return "Write the number without quotes.";
  if (isNumber && /^\s*[\d.]+\s*[a-zA-Z%]+\s*$/.test(value))
    return "Write the number alone: the unit is part of the key.";
  if (node.type === "boolean" && /^(yes|no|on|off|true|false|y|n)$/i.test(value))
    return "Write true or false, without quotes.";
  return node.type === "array" ? "Write it as a list: [ … ], or one entry a line, each after a dash." : undefined;
}

function bracesHint(value: object | null): string | undefined {
  const names = Object.keys(value ?? {});
  const looksLikeTemplate = names.length === 1 && partOfValue(value, names[0] as string) === null;
  return looksLikeTemplate ? `YAML reads {${names[0]}} as a map: put the text in quotes.` : undefined;
}

/** Where a secret would have been written inline, and the key that names its file. */
const SECRET_KEYS: Readonly<Record<string, string>> = {
  password: "passwordFile",
  passwd: "passwordFile",
  secret: "secretFile",
  token: "secretFile",
  apikey: "secretFile",
  key: "keyFile",
  certificate: "certificateFile",
};

function unknownKey(root: unknown, path: Path, key: string): Finding {
  const { node, value } = schemaAt(root, path);
  const known = (node === undefined ? undefined : keysOf(node, value)) ?? [];
  const fileKey = SECRET_KEYS[key.toLowerCase()];
  const message = `unknown key "${key}"`;
  if (fileKey !== undefined && known.includes(fileKey)) {
    return atKey(
      [...path, key],
      message,
      `Secrets are not written here: put it in a file of its own and name that with ${fileKey}.`,
    );
  }
  if (key === "<<") return atKey([...path, key], message, "Merge keys are not part of YAML 1.2: write the parts out.");
  const unused = known.filter((name) => partOfValue(value, name) === undefined);
  return atKey([...path, key], message, didYouMean(key, unused) ?? suggest(key, known, elsewhere(key)));
}

/** Where else in a configuration a key is at home. */
function elsewhere(key: string): string | undefined {
  return Object.hasOwn(schemaAt({}, []).node?.properties ?? {}, key)
    ? `"${key}" belongs to the top of the file.`
    : undefined;
}

function wrongName(path: Path): Finding {
  return atKey(
    path,
    `the name ${shown(String(path.at(-1)))} does not have the expected form`,
    "A name begins with a letter or digit and goes on with letters, digits and _ (most also take - and .). Names of fields and features begin with a letter or _.",
  );
}

function union(root: unknown, issue: Extract<Issue, { code: "invalid_union" }>, path: Path, most: number): Finding[] {
  const { discriminator } = issue as { discriminator?: string };
  if (discriminator !== undefined) return [wrongKind(root, path.slice(0, -1), discriminator)];
  const { node, value } = schemaAt(root, path);
  if (node === undefined || typeof value !== "object" || value === null || Array.isArray(value))
    return [wrongValue(root, path, issue.message)];
  const known = keysOf(node, value) ?? [];
  const strange = Object.keys(value).filter((key) => !known.includes(key));
  if (strange.length > 0) return strange.slice(0, most).map((key) => unknownKey(root, path, key));
  // The form that was meant is the one that has a place for every key.
  const meant = issue.errors.filter((errors) =>
    errors.every((one) => one.code !== "unrecognized_keys" && one.path.length > 0),
  );
  if (meant.length === 1 && Object.keys(value).length > 0)
    return (meant[0] ?? []).flatMap((one) => mistake(root, one, [...path, ...one.path], most));
  const both = Object.keys(value).length > 1 ? ", and only one of them" : "";
  return [
    atValue(
      path,
      `expected ${expectation(node, lastName(path))}${both}, found a map with ${Object.keys(value).join(" and ") || "nothing in it"}`,
    ),
  ];
}

function wrongKind(root: unknown, path: Path, discriminator: string): Finding {
  const { node, value } = schemaAt(root, path);
  const kinds = (node?.oneOf ?? []).map((form) => String(form.properties?.[discriminator]?.const));
  const found = partOfValue(value, discriminator);
  const wanted = `expected ${discriminator} to be one of ${kinds.join(", ")}`;
  if (found !== undefined)
    return atValue([...path, discriminator], `${wanted}; found ${shown(found)}`, didYouMean(String(found), kinds));
  const misspelt = Object.keys(value ?? {}).find((key) => didYouMean(key, [discriminator]) !== undefined);
  return misspelt === undefined
    ? atValue([...path, discriminator], `"${discriminator}" is missing: ${wanted}`)
    : atKey(
        [...path, misspelt],
        `unknown key "${misspelt}", and "${discriminator}" is missing: ${wanted}`,
        `Did you mean "${discriminator}"?`,
      );
}
