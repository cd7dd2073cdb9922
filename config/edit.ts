import { isMap, parseDocument } from "yaml";

/**
 * The text of a file with entries of one of its sections set, made where there is none. Comments, other entries and the
 * order stay; how lines are broken and indented may change. Undefined: the text is no map, or no YAML.
 */
export function withSection(
  source: string,
  section: string,
  entries: Readonly<Record<string, unknown>>,
): string | undefined {
  const document = parseDocument(source, { prettyErrors: false });
  if (document.errors.length > 0) return undefined;
  if (document.contents !== null && !isMap(document.contents)) return undefined;
  if (document.contents === null || !isMap(document.get(section))) {
    document.set(section, document.createNode(entries));
  } else {
    for (const [key, value] of Object.entries(entries)) document.setIn([section, key], document.createNode(value));
  }
  return document.toString({ lineWidth: 0 });
}
