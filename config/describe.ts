import { expectation } from "./expectation.ts";
import { formsOf, type SchemaNode, schemaTree } from "./schema-tree.ts";

/** The JSON Schema (draft 7) of a configuration file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = schemaTree() as SchemaNode & { readonly $schema?: string };
  return { $schema, title: "Holdfast configuration", ...rest };
}

/** Paths whose values are never shown; `*` stands for any name, `[]` for any entry of a list. */
export function secretPaths(): string[] {
  return [...leaves(schemaTree(), "")].filter(([, node]) => node.secret === true).map(([path]) => path);
}

/** Each value that may stand in a configuration, by path. A union gives each path once for every form that has it. */
export function* leaves(node: SchemaNode, path: string): Generator<readonly [path: string, node: SchemaNode]> {
  const inside = (part: string): string => (path === "" ? part : `${path}.${part}`);
  if (isLeaf(node)) {
    yield [path, node];
    return;
  }
  for (const form of formsOf(node)) {
    for (const [key, part] of Object.entries(form.properties ?? {})) yield* leaves(part, inside(key));
    if (form.additionalProperties) yield* leaves(form.additionalProperties, inside("*"));
    if (form.items !== undefined) yield* leaves(form.items, `${path}[]`);
  }
}

/** A value that a person writes in one go: no map with keys of its own lies in it. */
function isLeaf(node: SchemaNode): boolean {
  return !formsOf(node).some(
    (form) =>
      form.properties !== undefined ||
      (form.additionalProperties !== undefined &&
        form.additionalProperties !== false &&
        !isLeaf(form.additionalProperties)) ||
      (form.items !== undefined && !isLeaf(form.items)),
  );
}

/** A table of the reference: one map and its keys. */
interface Table {
  readonly title: string;
  readonly description: string | undefined;
  readonly rows: readonly string[];
}

/** The reference of all settings, as Markdown. */
export function reference(): string {
  const parts: string[] = [];
  const written = new Map<string, string>();
  for (const [section, node] of Object.entries(schemaTree().properties ?? {})) {
    parts.push(`## ${section}`, "", node.description ?? "", "");
    if (isLeaf(node)) parts.push(...tableText([row(section, node, false)]), "");
    else for (const table of tables(node, section)) parts.push(...sectionText(table, section, written));
  }
  return `${parts
    .join("\n")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trimEnd()}\n`;
}

/** All settings of a file that is short enough for one table. */
export function shortReference(tree: SchemaNode): string {
  const [table] = mapTables(tree, "", "");
  return `${tableText(table?.rows ?? []).join("\n")}\n`;
}

/** A table that was there before under another title is named, not repeated. */
function sectionText(table: Table, section: string, written: Map<string, string>): string[] {
  if (table.rows.length === 0) return [];
  const heading = table.title === section ? [] : [`### ${table.title}`, "", table.description ?? "", ""];
  const rows = table.rows.join("\n");
  const before = written.get(rows);
  if (before !== undefined) return [...heading, `The same keys as ${before}.`, ""];
  written.set(rows, table.title);
  return [...heading, ...tableText(table.rows), ""];
}

function tableText(rows: readonly string[]): string[] {
  return ["| key | value | default | |", "|---|---|---|---|", ...rows];
}

function tables(node: SchemaNode, path: string): Table[] {
  if (node.additionalProperties) return tables(node.additionalProperties, `${path}.<name>`);
  if (node.items !== undefined) return tables(node.items, `${path}[]`);
  if (node.properties !== undefined) return mapTables(node, path, title(path));
  const forms = formsOf(node).flatMap((form) =>
    mapTables(form, path, `${title(path)}, kind ${String(form.properties?.["kind"]?.const)}`),
  );
  return withShared(forms, `${title(path)}, every kind`);
}

/** Fewer keys than this in common are not worth a table. */
const LEAST_SHARED = 4;

/** Keys that are the same in all forms of a union get a table of their own. */
function withShared(forms: readonly Table[], name: string): Table[] {
  const [first, ...others] = forms;
  const shared = (first?.rows ?? []).filter((one) => others.every((form) => form.rows.includes(one)));
  if (shared.length < LEAST_SHARED) return [...forms];
  const own = forms.map((form) => ({ ...form, rows: form.rows.filter((one) => !shared.includes(one)) }));
  return [...own, { title: name, description: undefined, rows: shared }];
}

/** In code, since `<name>` alone would be read as a tag. */
function title(path: string): string {
  return path.includes(".") || path.includes("[") ? `\`${path}\`` : path;
}

function mapTables(node: SchemaNode, path: string, name: string): Table[] {
  const rows: string[] = [];
  const deeper: Table[] = [];
  collect(node, "", path, { rows, deeper });
  return [{ title: name, description: node.description, rows }, ...deeper];
}

interface Collected {
  readonly rows: string[];
  readonly deeper: Table[];
}

/** Maps in maps become rows with dotted keys; what has names or entries of its own gets a table of its own. */
function collect(node: SchemaNode, prefix: string, path: string, to: Collected): void {
  for (const [key, part] of Object.entries(node.properties ?? {})) {
    const name = `${prefix}${key}`;
    to.rows.push(row(name, part, node.required?.includes(key) ?? false));
    if (isLeaf(part) || isChoice(part)) continue;
    if (part.properties !== undefined) collect(part, `${name}.`, path, to);
    else to.deeper.push(...tables(part, `${path}.${name}`));
  }
}

/** A union without kinds is short: its row says all. */
function isChoice(node: SchemaNode): boolean {
  return node.anyOf !== undefined;
}

function row(key: string, node: SchemaNode, isRequired: boolean): string {
  const isMap = node.properties !== undefined;
  const fallback = isRequired ? "**required**" : isMap || node.default === undefined ? "" : code(node.default);
  const [example] = node.examples ?? [];
  const shows = example !== undefined && JSON.stringify(example) !== JSON.stringify(node.default);
  const text = [node.description ?? "", shows ? `Example: ${code(example)}` : ""]
    .filter((part) => part !== "")
    .join(" ");
  return `| ${code(key)} | ${cell(expectation(bare(node), lastPart(key)))} | ${fallback} | ${cell(text)} |`;
}

/** Without what the row says anyway. */
function bare({ examples: _examples, pattern: _pattern, ...rest }: SchemaNode): SchemaNode {
  return rest;
}

function lastPart(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}

function code(value: unknown): string {
  return `\`${(typeof value === "string" ? value : JSON.stringify(value)).replaceAll("|", "\\|")}\``;
}

function cell(text: string): string {
  return text.replaceAll(/(?<!\\)\|/g, "\\|");
}
