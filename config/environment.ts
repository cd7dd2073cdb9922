import { atKey, didYouMean, type Finding, type Path, suggest } from "./problems.ts";
import {
  formsOf,
  generationSections,
  keysOf,
  partOf,
  partOfValue,
  type SchemaNode,
  schemaTree,
} from "./schema-tree.ts";

const PREFIX = "HOLDFAST__";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Override {
  readonly variable: string;
  readonly path: Path;
}

export interface Overridden {
  readonly value: Record<string, unknown>;
  readonly overrides: readonly Override[];
  readonly findings: readonly { readonly variable: string; readonly finding: Finding }[];
}

/**
 * Puts HOLDFAST__SECTION__KEY=value over the gateway's sections. Names are compared without case and underscores, since
 * variables are written in capitals: HOLDFAST__STORE__COMMIT_DELAY_MS is store.commitDelayMs. `parse` reads YAML.
 */
export function applyEnvironment(
  base: Record<string, unknown>,
  environment: Environment,
  parse: (text: string) => unknown,
): Overridden {
  let value = base;
  const overrides: Override[] = [];
  const findings: { variable: string; finding: Finding }[] = [];
  for (const variable of inOrder(environment)) {
    const found = resolve(value, variable);
    if (!found.ok) findings.push({ variable, finding: found.finding });
    else {
      const text = environment[variable] ?? "";
      value = put(value, found.path, isText(found.node) ? text : parse(text), schemaTree()) as Record<string, unknown>;
      overrides.push({ variable, path: found.path });
    }
  }
  return { value, overrides, findings };
}

/** Whole sections before their keys, and `kind` before the keys that depend on it. */
function inOrder(environment: Environment): string[] {
  const rank = (variable: string): string => {
    const depth = variable.split("__").length;
    return `${String(depth).padStart(3, "0")}${/__KIND$/i.test(variable) ? 0 : 1}${variable}`;
  };
  return Object.keys(environment)
    .filter((variable) => variable.startsWith(PREFIX) && environment[variable] !== undefined)
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

type Resolved =
  | { readonly ok: true; readonly path: string[]; readonly node: SchemaNode | undefined }
  | { readonly ok: false; readonly finding: Finding };

/** The path that a variable means. */
function resolve(root: unknown, variable: string): Resolved {
  const path: string[] = [];
  let node: SchemaNode | undefined = schemaTree();
  let here = root;
  for (const part of variable.slice(PREFIX.length).split("__")) {
    const keys: readonly string[] | undefined = node === undefined ? [] : keysOf(node, here ?? node.default);
    const name: string | undefined =
      keys === undefined ? ownName(here, part) : keys.find((key) => plain(key) === plain(part));
    if (name === undefined || name === "") return { ok: false, finding: unknownPart(path, part, keys ?? []) };
    path.push(name);
    if (path.length === 1 && generationSections.includes(name)) return { ok: false, finding: notReached(name) };
    node = node === undefined ? undefined : partOf(node, here ?? node.default, name);
    here = partOfValue(here, name);
  }
  return { ok: true, path, node };
}

/** Where names are free: one that is there already, else the variable's in small letters. */
function ownName(here: unknown, part: string): string {
  const known = Object.keys((here as object | null | undefined) ?? {});
  const name = known.find((key) => plain(key) === plain(part)) ?? part.toLowerCase();
  return name === "__proto__" ? "" : name;
}

function unknownPart(path: Path, part: string, known: readonly string[]): Finding {
  const hint = didYouMean(part.replaceAll("_", "").toLowerCase(), known) ?? suggest(part, known);
  return atKey([...path, part], `the environment names an unknown key "${part}"`, hint);
}

function notReached(section: string): Finding {
  return atKey(
    [section],
    `the environment can not change ${section}`,
    "It belongs to the generation, which is made of files only: write it in one of them.",
  );
}

function plain(name: string): string {
  return name.replaceAll(/[_-]/g, "").toLowerCase();
}

/** Text is taken as it is: a device may be called 007. */
function isText(node: SchemaNode | undefined): boolean {
  return node !== undefined && formsOf(node).every((form) => form.type === "string");
}

/** A copy of `target` with `value` at `path`; maps on the way that are not there begin as their schema's default. */
function put(target: unknown, path: readonly string[], value: unknown, node: SchemaNode | undefined): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  const isMap = typeof target === "object" && target !== null && !Array.isArray(target);
  const base: Record<string, unknown> = { ...((isMap ? target : node?.default) as object | undefined) };
  const inner = node === undefined ? undefined : partOf(node, base, name);
  base[name] = put(base[name], rest, value, inner);
  return base;
}
