import { z } from "zod";
import { gatewaySchema } from "./gateway.ts";
import type { Path } from "./problems.ts";
import { releaseSchema } from "./release.ts";

/** Everything that may stand in a configuration file. */
export const rootSchema = z.strictObject({ ...gatewaySchema.shape, ...releaseSchema.shape });

/** The sections that belong to a generation: no override reaches them, each of their entries has one place. */
export const generationSections: readonly string[] = Object.keys(releaseSchema.shape);

/** A schema as plain data (JSON Schema, draft 7): for whoever wants to know what may stand where. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly secret?: boolean;
  readonly reload?: boolean;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | false;
  readonly items?: SchemaNode;
  readonly oneOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
}

let whole: SchemaNode | undefined;

/** Made at first use: a daemon whose files are right never needs it. */
export function schemaTree(): SchemaNode {
  whole ??= z.toJSONSchema(rootSchema, { io: "input", target: "draft-7" }) as SchemaNode;
  return whole;
}

/** The forms a value may take: one, or the branches of a union. */
export function formsOf(node: SchemaNode): readonly SchemaNode[] {
  return node.oneOf ?? node.anyOf ?? [node];
}

/** The forms that a value can be meant as: for a union by `kind`, the one whose kind it has. */
function meantForms(node: SchemaNode, value: unknown): readonly SchemaNode[] {
  if (node.oneOf === undefined) return formsOf(node);
  const meant = node.oneOf.filter((form) => hasKindOf(form, value));
  return meant.length > 0 ? meant : node.oneOf;
}

function hasKindOf(form: SchemaNode, value: unknown): boolean {
  const kind = form.properties?.["kind"]?.const;
  return kind !== undefined && (value as { kind?: unknown } | null | undefined)?.kind === kind;
}

/** The keys that may stand in a value; undefined where any name goes. */
export function keysOf(node: SchemaNode, value: unknown): readonly string[] | undefined {
  const maps = meantForms(node, value).filter((form) => form.properties !== undefined);
  return maps.length === 0 ? undefined : [...new Set(maps.flatMap((form) => Object.keys(form.properties ?? {})))];
}

/** The schema of one part of a value. */
export function partOf(node: SchemaNode, value: unknown, part: PropertyKey): SchemaNode | undefined {
  for (const form of meantForms(node, value)) {
    const property =
      form.properties !== undefined && Object.hasOwn(form.properties, part) ? form.properties[String(part)] : undefined;
    const found =
      property ?? (form.additionalProperties || undefined) ?? (typeof part === "number" ? form.items : undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The schema at a path of `root`, and the value that stands there. */
export function schemaAt(root: unknown, path: Path): { node: SchemaNode | undefined; value: unknown } {
  let node: SchemaNode | undefined = schemaTree();
  let value = root;
  for (const part of path) {
    node = node === undefined ? undefined : partOf(node, value, part);
    value = partOfValue(value, part);
  }
  return { node, value };
}

/** One step into a value; undefined where there is nothing, and never something inherited. */
export function partOfValue(value: unknown, part: PropertyKey): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
  return (value as Record<PropertyKey, unknown>)[part];
}
