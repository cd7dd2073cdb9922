import type { Problem } from "../../config/load.ts";
import { ConfigInvalid } from "../errors.ts";

/** What a person reads when a command fails: what happened, the details, and what to do. */
export function explainError(error: unknown): string {
  if (error instanceof ConfigInvalid) return problemLines(error.problems);
  if (!(error instanceof Error)) return `holdfast: ${String(error)}\n`;
  const lines = [`holdfast: ${error.message}`];
  const { detail, hint, code } = error as { detail?: Record<string, unknown>; hint?: string; code?: unknown };
  for (const [name, value] of Object.entries(detail ?? {})) lines.push(`  ${name}: ${printable(value)}`);
  let cause = error.cause;
  while (cause instanceof Error) {
    lines.push(`  because: ${cause.message}`);
    cause = cause.cause;
  }
  if (hint !== undefined) lines.push(`  to do: ${hint}`);
  if (typeof code === "string") lines.push(`  code: ${code}`);
  return `${lines.join("\n")}\n`;
}

function printable(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** `file:line:column: message (hint)`, one mistake a line. */
export function problemLines(problems: readonly Problem[]): string {
  return problems
    .map((one) => {
      const place = `${one.file}:${one.line}:${one.column}`;
      return `${place}: ${one.path === "" ? "" : `${one.path}: `}${one.message}${one.hint === undefined ? "" : ` (${one.hint})`}\n`;
    })
    .join("");
}
