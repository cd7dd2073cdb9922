import type { Command } from "commander";
import type { OpenHandoff, Proposed } from "../api/actions.ts";
import { EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { argumentsText } from "./approvals.ts";
import { askAsPerson, askDaemon, type PersonOptions, personOptions } from "./ask.ts";
import { age, iso, painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const handoffs = program.command("handoffs").description("tasks that wait for a person: list, take");
  personOptions(handoffs.command("list", { isDefault: true }).description("tasks that nobody has taken yet"))
    .addHelpText("after", "\nExample:\n  holdfast handoffs")
    .action((options: PersonOptions) => run(() => list(options, io)));
  personOptions(handoffs.command("take <id>").description("take a task: it is yours from then on"))
    .addHelpText("after", "\nExample:\n  holdfast handoffs take 01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e")
    .action((id: string, options: PersonOptions) => run(() => take(id, options, io)));
};

async function list(options: PersonOptions, io: Io): Promise<number> {
  const open = (await askDaemon(options, io, "handoffs")) as readonly OpenHandoff[];
  if (options.json === true) {
    io.out(`${JSON.stringify(open.map((one) => ({ ...one, proposedAt: iso(one.proposedAt) })))}\n`);
    return EXIT_DONE;
  }
  const now = Date.now();
  const rows = open.map((one) => [
    one.id,
    safe(one.tool, 24),
    safe(argumentsText(one.arguments), 64),
    safe(one.key, 24),
    one.to.length === 0 ? "anybody" : safe(one.to.join(", "), 40),
    age(one.proposedAt, now),
  ]);
  const titles = ["id", "tool", "arguments", "about", "for", "since"];
  io.out(
    table(
      titles.map((title) => ({ title })),
      rows,
      painter(io),
      "no task waits for a person",
    ),
  );
  return EXIT_DONE;
}

async function take(id: string, options: PersonOptions, io: Io): Promise<number> {
  const taken = (await askAsPerson(options, io, "take", { id })) as Proposed;
  const isTaken = taken.reason === undefined;
  io.out(
    options.json === true
      ? `${JSON.stringify(taken)}\n`
      : isTaken
        ? "The task is yours.\n"
        : `Not taken: ${safe(taken.reason ?? "")}\n`,
  );
  return isTaken ? EXIT_DONE : EXIT_FAILED;
}
