const PLACE = /\{([A-Za-z_]\w*)\}/g;
const WILDCARD = /[+#]/;

/** Names in braces, in a text or anywhere inside a value. */
export function placesIn(value: unknown): string[] {
  if (typeof value === "string") return [...value.matchAll(PLACE)].map((found) => found[1] as string);
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(placesIn);
}

/** Text with each {name} replaced. */
export function replacePlaces(text: string, replacement: (name: string) => string): string {
  return text.replaceAll(PLACE, (_, name: string) => replacement(name));
}

/** What is wrong with a topic that becomes one topic when its {names} are filled. */
export function commandTopicMistake(topic: string): string | undefined {
  const rest = replacePlaces(topic, () => "");
  if (WILDCARD.test(rest)) return "this is one topic: + and # are for filters";
  if (/[{}]/.test(rest)) return "a name in braces is of letters, digits and _";
  if (topic.startsWith("$")) return "topics that begin with $ are the broker's own";
  if (rest.includes("\0")) return "a topic has no null character";
  return undefined;
}
