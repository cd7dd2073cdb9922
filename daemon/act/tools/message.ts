import type { LogFields } from "../../log.ts";
import type { ToolCall } from "../tool.ts";

const PRIVATE = "(private)";

/** What is said to people: the argument `text`; without one, what happened. */
export function textOf(call: ToolCall): string {
  return shownArgument(call, "text") ?? `${call.rule} of ${call.agent}, about ${call.key}`;
}

/** An argument as people may see it. */
export function shownArgument(call: ToolCall, name: string): string | undefined {
  if (!Object.hasOwn(call.arguments, name)) return undefined;
  return call.private?.includes(name) ? PRIVATE : String(call.arguments[name]);
}

/** What every line about a message says of it. */
export function fieldsOf(call: ToolCall, to: readonly string[]): LogFields {
  const { tool, agent, key } = call;
  return { part: "notify", tool, agent, key, text: textOf(call), ...(to.length === 0 ? {} : { to: to.join(", ") }) };
}
