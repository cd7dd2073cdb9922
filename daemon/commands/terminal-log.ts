import type { Colour, Paint } from "./format.ts";

const COLOURS: Readonly<Record<string, Colour>> = {
  debug: "dim",
  info: "green",
  warn: "yellow",
  error: "red",
  fatal: "red",
};
const HIDDEN = new Set(["level", "time", "msg", "event", "err", "problem"]);

/** One log line for a person: time, level, message, then the fields. */
export function logLine(paint: Paint): (line: Record<string, unknown>) => string {
  return (line) => {
    const at = String(line["time"]).slice(11, 19);
    const level = String(line["level"]);
    const fields = Object.entries(line)
      .filter(([name]) => !HIDDEN.has(name))
      .map(
        ([name, value]) => `${paint(`${name}=`, "dim")}${typeof value === "string" ? value : JSON.stringify(value)}`,
      );
    const text = [
      paint(at, "dim"),
      paint(level.padEnd(5), COLOURS[level] ?? "dim"),
      String(line["msg"]),
      ...fields,
    ].join(" ");
    return `${text}\n${problems(line["problem"])}${errorText(line["err"])}`;
  };
}

function problems(list: unknown): string {
  if (!Array.isArray(list)) return "";
  return list
    .map(
      (one: { file: string; line: number; column: number; message: string }) =>
        `      ${one.file}:${one.line}:${one.column}: ${one.message}\n`,
    )
    .join("");
}

function errorText(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const { message, detail, hint } = error as { message?: unknown; detail?: unknown; hint?: unknown };
  const more = detail === undefined ? "" : ` ${JSON.stringify(detail)}`;
  return `      ${String(message)}${more}${hint === undefined ? "" : `\n      to do: ${String(hint)}`}\n`;
}
