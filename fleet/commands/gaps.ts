import type { Command } from "commander";
import { EXIT_DONE, type Io, type RunVerb } from "./io.ts";
import { type Where, withFleet } from "./place.ts";
import { table } from "./text.ts";

interface Options extends Where {
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("gaps")
    .description("records that are known to exist, are not here, and of which no drop record tells")
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .option("--json", "one JSON list")
    .addHelpText("after", "\nExample:\n  holdfast-fleet gaps")
    .action((options: Options) => run(() => list(options, io)));

async function list(options: Options, io: Io): Promise<number> {
  const lines = await withFleet(options, (ask) => ask("gaps", undefined));
  const rows = lines.map((one) => [one.gateway, one.epoch, String(one.stream), String(one.from), String(one.to)]);
  const shown = table(["gateway", "epoch", "stream", "from", "to"], rows, "nothing is missing");
  io.out(options.json === true ? `${JSON.stringify(lines)}\n` : shown);
  return EXIT_DONE;
}
