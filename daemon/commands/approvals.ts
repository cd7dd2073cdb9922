import type { Command } from "commander";
import type { OpenProposal } from "../api/actions.ts";
import { EXIT_DONE } from "../errors.ts";
import { askDaemon, type PersonOptions, personOptions } from "./ask.ts";
import { duration, iso, painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void personOptions(
    program.command("approvals").description("actions that wait for a person's yes or no, the most urgent first"),
  )
    .addHelpText(
      "after",
      "\nExample:\n  holdfast approvals --json\n\nAnswer with: holdfast approve ID, holdfast deny ID",
    )
    .action((options: PersonOptions) => run(() => approvals(options, io)));

async function approvals(options: PersonOptions, io: Io): Promise<number> {
  const open = [...((await askDaemon(options, io, "approvals")) as readonly OpenProposal[])];
  open.sort((one, other) => one.approveBefore - other.approveBefore);
  io.out(options.json === true ? `${JSON.stringify(open.map(jsonOf))}\n` : textOf(open, io));
  return EXIT_DONE;
}

function jsonOf(one: OpenProposal) {
  return {
    id: one.id,
    tool: one.tool,
    arguments: one.arguments,
    class: one.class,
    proposedAt: iso(one.proposedAt),
    approveBefore: iso(one.approveBefore),
    executeBefore: iso(one.executeBefore),
    needs: one.needs,
    given: one.given.length,
  };
}

function textOf(open: readonly OpenProposal[], io: Io): string {
  const now = Date.now();
  const rows = open.map((one) => [
    one.id,
    safe(one.tool, 24),
    safe(argumentsText(one.arguments), 48),
    one.class,
    safe(one.by ?? (one.agent === "" ? one.rule : `${one.agent}/${one.rule}`), 32),
    one.approveBefore > now ? duration(one.approveBefore - now) : "over",
    `${one.given.length} of ${one.needs}${one.given.length === 0 ? "" : ` (${safe(one.given.join(", "), 40)})`}`,
  ]);
  const titles = ["id", "tool", "arguments", "class", "proposed by", "time left", "yes"];
  return table(
    titles.map((title) => ({ title })),
    rows,
    painter(io),
    "nothing waits for a person",
  );
}

export function argumentsText(given: OpenProposal["arguments"]): string {
  return Object.entries(given)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(" ");
}
