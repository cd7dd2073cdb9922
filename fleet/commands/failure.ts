import { FleetConfigInvalid } from "../errors.ts";

/** What a person reads when a command fails: what happened, the details, and what to do. */
export function explainError(error: unknown): string {
  if (error instanceof FleetConfigInvalid)
    return error.problems
      .map((one) => {
        const path = one.path === "" ? "" : `${one.path}: `;
        return `${one.file}:${one.line}:${one.column}: ${path}${one.message}${one.hint === undefined ? "" : ` (${one.hint})`}\n`;
      })
      .join("");
  if (!(error instanceof Error)) return `holdfast-fleet: ${String(error)}\n`;
  const lines = [`holdfast-fleet: ${error.message}`];
  const { detail, hint, code } = error as { detail?: Record<string, unknown>; hint?: string; code?: unknown };
  for (const [name, value] of Object.entries(detail ?? {}))
    lines.push(`  ${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) lines.push(`  because: ${cause.message}`);
  if (hint !== undefined) lines.push(`  to do: ${hint}`);
  if (typeof code === "string") lines.push(`  code: ${code}`);
  return `${lines.join("\n")}\n`;
}
