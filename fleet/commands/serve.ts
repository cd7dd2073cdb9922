import { type Command, Option } from "commander";
import { compose } from "../compose.ts";
import { createLog } from "../log.ts";
import { EXIT_DONE, type Io, type RunVerb } from "./io.ts";
import { placeOf, type Where } from "./place.ts";

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("serve")
    .description("collect what gateways send, until SIGTERM")
    .addOption(new Option("--role <role>", "what this process does").choices(["collector"]).default("collector"))
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast-fleet serve --role collector --config /etc/holdfast/holdfast-fleet.yaml",
    )
    .action((options: Where) => run(() => serve(options, io)));

async function serve(options: Where, io: Io): Promise<number> {
  const log = createLog();
  const { parts, collector } = await compose(placeOf(options), log, io.environment);
  const started: (typeof parts)[number][] = [];
  try {
    for (const part of parts) {
      await part.start();
      started.push(part);
    }
    log.info({}, "collector is ready");
    await new Promise<void>((resolve) => {
      if (io.stop.aborted) resolve();
      io.stop.addEventListener("abort", () => resolve(), { once: true });
    });
    log.info({ signal: String(io.stop.reason), ...collector.figures() }, "collector stops");
  } finally {
    // The collector stores and acknowledges what it has; so the brokers, which stop first, say it before they leave.
    await collector.stop();
    for (const part of [...started].reverse()) await part.stop();
  }
  return EXIT_DONE;
}
