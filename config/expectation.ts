import { formsOf, type SchemaNode } from "./schema-tree.ts";

/** Key endings that carry a unit, longest first. */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/PerMinute$/, "a minute"],
  [/PerTargetPerHour$/, "an hour"],
  [/seconds$/i, "of seconds"],
  [/SecondsBetween$/, "of seconds"],
  [/Days$/, "of days"],
  [/Ms$/, "of milliseconds"],
  [/Mb$/, "of megabytes"],
  [/bytes$/i, "of bytes"],
];

/** What may stand at a key, in words: "a number of seconds greater than 0". */
export function expectation(node: SchemaNode, key: string): string {
  if (node.const !== undefined) return literal(node.const);
  if (node.enum !== undefined) return `one of ${node.enum.map(literal).join(", ")}`;
  const forms = formsOf(node);
  if (forms.length > 1) return unionText(forms, key);
  switch (node.type) {
    case "boolean":
      return "true or false";
    case "integer":
      return numberText("a whole number", node, key);
    case "number":
      return numberText("a number", node, key);
    case "string":
      return `text${lengthText(node)}${node.pattern === undefined ? "" : exampleText(node)}`;
    case "array":
      return `a list${countText(node)}`;
    case "object":
      return `a map${mapText(node)}`;
    default:
      return "another value";
  }
}

function unionText(forms: readonly SchemaNode[], key: string): string {
  const kinds = forms.flatMap((form) => form.properties?.["kind"]?.const ?? []);
  if (kinds.length === forms.length) return `a map with kind ${kinds.map(literal).join(", ")}`;
  return forms.map((form) => expectation(form, key)).join(" or ");
}

function literal(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function numberText(what: string, node: SchemaNode, key: string): string {
  const unit = UNITS.find(([ending]) => ending.test(key))?.[1];
  const { exclusiveMinimum, exclusiveMaximum } = node;
  const minimum = safe(node.minimum);
  const maximum = safe(node.maximum);
  const bounds: string[] = [];
  if (minimum !== undefined && maximum !== undefined) bounds.push(`from ${minimum} to ${maximum}`);
  else if (minimum !== undefined) bounds.push(`not less than ${minimum}`);
  if (exclusiveMinimum !== undefined) bounds.push(`greater than ${exclusiveMinimum}`);
  if (exclusiveMaximum !== undefined) bounds.push(`less than ${exclusiveMaximum}`);
  if (minimum === undefined && maximum !== undefined) bounds.push(`not more than ${maximum}`);
  return [what, unit, bounds.join(" and ")].filter((part) => part !== undefined && part !== "").join(" ");
}

/** zod bounds each integer by what a double can hold: not worth a word. */
function safe(bound: number | undefined): number | undefined {
  return bound === undefined || Math.abs(bound) === Number.MAX_SAFE_INTEGER ? undefined : bound;
}

function lengthText(node: SchemaNode): string {
  const { minLength, maxLength } = node;
  if (minLength !== undefined && maxLength === minLength)
    return ` of ${minLength} character${minLength === 1 ? "" : "s"}`;
  if (minLength !== undefined && maxLength !== undefined) return ` of ${minLength} to ${maxLength} characters`;
  if (maxLength !== undefined) return ` of at most ${maxLength} characters`;
  if (minLength === undefined) return "";
  return minLength === 1 ? " that is not empty" : ` of at least ${minLength} characters`;
}

function exampleText(node: SchemaNode): string {
  const [example] = node.examples ?? [];
  return example === undefined ? ` that matches ${node.pattern}` : ` such as ${JSON.stringify(example)}`;
}

function countText(node: SchemaNode): string {
  const { minItems, maxItems } = node;
  if (minItems !== undefined && maxItems !== undefined) return ` with ${minItems} to ${maxItems} entries`;
  return minItems === undefined ? "" : ` with at least ${minItems} ${minItems === 1 ? "entry" : "entries"}`;
}

function mapText(node: SchemaNode): string {
  const { required } = node;
  return required === undefined ? "" : ` with ${required.join(" and ")}`;
}
