import { placesIn, replacePlaces } from "../../config/template-syntax.ts";
import type { Arguments, ArgumentValue } from "./tool.ts";

export { placesIn };

const WHOLE = /^\{([A-Za-z_]\w*)\}$/;
const MOST_TOPIC_BYTES = 1024;

/** Text with each {name} replaced by its argument. Throws on a name that is not there: callers check at load. */
export function fillText(text: string, given: Arguments): string {
  return replacePlaces(text, (name) => String(argumentOf(given, name)));
}

/** A value with its texts filled; "{name}" alone becomes the argument itself, so that numbers stay numbers. */
export function fillValue(value: unknown, given: Arguments): unknown {
  if (typeof value === "string") {
    const whole = WHOLE.exec(value)?.[1];
    return whole === undefined ? fillText(value, given) : argumentOf(given, whole);
  }
  if (Array.isArray(value)) return value.map((item) => fillValue(item, given));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, fillValue(item, given)]));
}

/** A topic with its levels filled, or undefined when an argument would change which levels there are. */
export function fillTopic(topic: string, given: Arguments): string | undefined {
  for (const name of placesIn(topic)) {
    const text = String(argumentOf(given, name));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: MQTT 5, 1.5.4: they should not be in a topic.
    if (text === "" || /[/+#\u0000-\u001f\u007f-\u009f]/.test(text) || Buffer.from(text).toString() !== text)
      return undefined;
  }
  const filled = fillText(topic, given);
  return filled.startsWith("$") || Buffer.byteLength(filled) > MOST_TOPIC_BYTES ? undefined : filled;
}

/** The filter that matches the topic whatever the arguments are. */
export function filterOf(topic: string): string {
  return topic
    .split("/")
    .map((level) => (placesIn(level).length > 0 ? "+" : level))
    .join("/");
}

function argumentOf(given: Arguments, name: string): ArgumentValue {
  const value = Object.hasOwn(given, name) ? given[name] : undefined;
  if (value === undefined) throw new RangeError(`there is no argument "${name}"`);
  return value;
}
