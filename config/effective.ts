import { type Config, toYaml } from "./load.ts";
import { keysOf, partOf, type SchemaNode, schemaTree } from "./schema-tree.ts";

const HIDDEN = "(hidden)";

/** What would be used, defaults filled in and secrets hidden: gateway sections first, then the generation's. */
export function effective(config: Config): Record<string, unknown> {
  return hideSecrets({ ...config.gateway, ...config.generation }, schemaTree()) as Record<string, unknown>;
}

export function effectiveYaml(config: Config): string {
  return toYaml(effective(config));
}

function hideSecrets(value: unknown, node: SchemaNode | undefined): unknown {
  if (node?.secret === true && value !== undefined) return HIDDEN;
  if (Array.isArray(value)) return value.map((part, index) => hideSecrets(part, node && partOf(node, value, index)));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    inSchemaOrder(value, node).map(([key, part]) => [key, hideSecrets(part, node && partOf(node, value, key))]),
  );
}

/** Keys in the order of the reference, not in that of the file. */
function inSchemaOrder(value: object, node: SchemaNode | undefined): [string, unknown][] {
  const order = (node && keysOf(node, value)) ?? [];
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  return order.length === 0 ? entries : entries.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
}
