import type { Command } from "commander";
import { callDaemon } from "../api/control-client.ts";
import { EXIT_DONE } from "../errors.ts";
import type { Sighting } from "../watch.ts";
import { dataDirectory, type Where } from "./data.ts";
import { type Colour, figure, iso, painter, safe, time } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends Where {
  readonly follow?: boolean;
  readonly agent?: string;
  readonly rejected?: boolean;
  readonly json?: boolean;
}

const COLOURS: Readonly<Record<string, Colour>> = {
  accepted: "green",
  duplicate: "dim",
  coalesced: "dim",
  late: "yellow",
  invalid: "red",
  shed: "red",
};

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("events")
    .description("what comes in right now, and why something was rejected; until Ctrl-C")
    .option("--follow", "stay and show each event as it comes (the default)")
    .option("--agent <name>", "only events offered to this agent")
    .option("--rejected", "only events that were not accepted")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  holdfast events --follow --rejected")
    .action((options: Options) => run(() => follow(options, io)));

async function follow(options: Options, io: Io): Promise<number> {
  const paint = painter(io);
  await callDaemon({
    dataDirectory: dataDirectory(options, io),
    verb: "events",
    signal: io.stop,
    onItem: (item) => {
      const sighting = item as Sighting;
      if (options.agent !== undefined && sighting.agent !== options.agent) return;
      if (options.rejected === true && sighting.outcome === "accepted") return;
      if (options.json === true) {
        io.out(
          `${JSON.stringify({ ...sighting, at: iso(sighting.at), ...(sighting.eventTime === undefined ? {} : { eventTime: iso(sighting.eventTime) }) })}\n`,
        );
        return;
      }
      const fields = Object.entries(sighting.fields ?? {})
        .map(([name, value]) => `${name} ${figure(value)}`)
        .join("  ");
      const outcome = paint(sighting.outcome.padEnd(9), COLOURS[sighting.outcome] ?? "dim");
      const why = sighting.reason === undefined ? "" : paint(` ${safe(sighting.reason, 80)}`, "yellow");
      const from = safe(sighting.topic ?? "", 60);
      io.out(
        `${paint(time(sighting.at).slice(11), "dim")} ${outcome} ${safe(sighting.agent ?? "–", 24)} ${safe(sighting.key ?? "", 32)}${why} ${safe(fields, 160)} ${paint(from, "dim")}\n`,
      );
    },
  });
  return EXIT_DONE;
}
