import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { type LoadedConfig, loadConfig } from "../../config/load.ts";
import type { Acknowledged } from "../api/fleet-verbs.ts";
import { gatewayName } from "../check-fleet.ts";
import { systemClock } from "../clock.ts";
import { ConfigInvalid, DaemonError, EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { exportBatches } from "../fleet/export-batches.ts";
import type { Outbox } from "../fleet/outbox.ts";
import { drainOf, outboxStreams } from "../fleet/outbox.ts";
import { storeFiles } from "../store/files.ts";
import { recordsSchema } from "../store/schema.ts";
import { openForReading } from "../store/sqlite-reader.ts";
import { outboxIn } from "../store/uplink-queries.ts";
import { askAsPerson, askDaemon, type PersonOptions, personOptions } from "./ask.ts";
import { dataDirectory, findConfig, type Where } from "./data.ts";
import { age, bytes, count, duration, iso, painter, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createProgress } from "./progress.ts";

interface Options extends Where {
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const outboxCommand = program
    .command("outbox")
    .description("what waits for the fleet: how much, how old, what it will cost to send; and ways to carry it");
  placed(outboxCommand.command("show", { isDefault: true }))
    .description("streams, records, bytes, the oldest, and what sending all of it takes")
    .option("--json", "one JSON object")
    .addHelpText("after", "\nExample:\n  holdfast outbox --json\n\nWorks while the daemon is stopped too.")
    .action((options: Options) => run(() => outbox(options, io)));
  placed(outboxCommand.command("export <directory>"))
    .description(
      "write what waits as files, to be carried to `holdfast-fleet import`; sent meanwhile too, nothing comes twice",
    )
    .option("--json", "one JSON object")
    .addHelpText("after", "\nExample:\n  holdfast outbox export /media/stick")
    .action((directory: string, options: Options) => run(async () => exportTo(directory, options, io)));
  personOptions(outboxCommand.command("acknowledge <directory>"))
    .description("take in what `holdfast-fleet import` wrote back there; for operators, on a running daemon")
    .addHelpText("after", "\nExample:\n  holdfast outbox acknowledge /media/stick")
    .action((directory: string, options: PersonOptions) => run(() => acknowledge(directory, options, io)));
};

function placed(command: Command): Command {
  return command.option("--config <file>", "the gateway's file").option("--data <directory>", "its data directory");
}

function exportTo(directory: string, options: Options, io: Io): number {
  const loaded = configured(options, io);
  const { fleet } = loaded.config.gateway;
  if (fleet === undefined) throw new DaemonError("NO_FLEET", {}, { hint: "Give the gateway's file a `fleet`." });
  const database = openForReading(storeFiles(dataDirectory(options, io)).records, recordsSchema);
  const progress = createProgress(io, "records");
  const clock = systemClock();
  try {
    const done = exportBatches(database, {
      ...{ fleet: fleet.name, gateway: gatewayName(loaded), directory },
      clock: { bootId: clock.bootId, bootMs: clock.bootMs(), wallMs: Math.floor(clock.wallMs()), trust: clock.trust() },
      isStopped: () => io.stop.aborted,
      progress: (records, total) => progress.show(records, records / total),
    });
    progress.end();
    const left = done.tooLarge === 0 ? "" : ` ${count(done.tooLarge)} were too large and stay here.`;
    io.out(
      options.json === true
        ? `${JSON.stringify(done)}\n`
        : `${count(done.records)} records in ${count(done.files)} files, ${bytes(done.bytes)}.${left} Now: holdfast-fleet import ${directory}\n`,
    );
    return io.stop.aborted ? EXIT_FAILED : EXIT_DONE;
  } finally {
    progress.end();
    database.close();
  }
}

function configured(options: Options, io: Io): LoadedConfig {
  const file = findConfig(options);
  if (file === undefined) throw new DaemonError("NO_FLEET", {}, { hint: "Name the gateway's file with --config." });
  const loaded = loadConfig({ file, environment: io.environment });
  if (!loaded.ok) throw new ConfigInvalid(loaded.problems);
  return loaded;
}

const LINES_AT_ONCE = 500;

async function acknowledge(directory: string, options: PersonOptions, io: Io): Promise<number> {
  const loaded = configured(options, io);
  const name = loaded.config.gateway.fleet?.name ?? "";
  const file = join(directory, name, gatewayName(loaded), "down", "ack.ndjson");
  const lines = linesOf(file);
  let records = 0;
  const refused: Acknowledged["refused"][number][] = [];
  for (let at = 0; at < lines.length; at += LINES_AT_ONCE) {
    const some = lines.slice(at, at + LINES_AT_ONCE);
    const told = (await askAsPerson(options, io, "acknowledge", { lines: some })) as Acknowledged;
    records += told.records;
    refused.push(...told.refused.map((one) => ({ ...one, line: one.line + at })));
  }
  if (options.json === true) io.out(`${JSON.stringify({ records, refused })}\n`);
  else io.out(`${count(records)} records more are known to be with the fleet.\n`);
  if (options.json !== true)
    for (const { line, code } of refused) io.err(`holdfast: line ${line} of ${file} was refused: ${code}\n`);
  return refused.length === 0 ? EXIT_DONE : EXIT_FAILED;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean);
  } catch (cause) {
    const hint = "holdfast-fleet import writes it where the export was.";
    throw new DaemonError("INPUT_FILE", { file }, { cause, hint });
  }
}

async function outbox(options: Options, io: Io): Promise<number> {
  const told = (await asked(options, io)) ?? read(options, io);
  io.out(options.json === true ? `${JSON.stringify(told, timesAsText)}\n` : text(told, io));
  return EXIT_DONE;
}

async function asked(options: Options, io: Io): Promise<Outbox | undefined> {
  try {
    return (await askDaemon(options, io, "outbox")) as Outbox;
  } catch (error) {
    if (error instanceof DaemonError && error.code === "NOT_RUNNING") return undefined;
    throw error;
  }
}

function read(options: Options, io: Io): Outbox {
  const database = openForReading(storeFiles(dataDirectory(options, io)).records, recordsSchema);
  try {
    const streams = outboxStreams(outboxIn(database));
    return { streams, drain: drainOf(streams, undefined), fleet: null };
  } finally {
    database.close();
  }
}

function timesAsText(name: string, value: unknown): unknown {
  return name === "oldestAt" && typeof value === "number" ? iso(value) : value;
}

function text({ streams, drain, fleet }: Outbox, io: Io): string {
  const now = Date.now();
  const rows = streams.map((one) => [
    one.name,
    count(one.records),
    bytes(one.bytes),
    one.oldestAt === null ? "–" : age(one.oldestAt, now),
    one.acknowledged === null ? "–" : `${one.acknowledged.epoch.slice(0, 8)} ${one.acknowledged.seq}`,
    count(one.dropped),
  ]);
  const titles = ["stream", "records", "bytes", "oldest", "acknowledged", "dropped"];
  const columns = titles.map((title, at) => (at === 1 || at === 2 || at === 5 ? { title, right: true } : { title }));
  const shown = table(columns, rows, painter(io), "");
  const waits = streams.reduce((sum, one) => sum + one.records, 0);
  const words =
    waits === 0
      ? "Nothing waits: the fleet has everything."
      : `To send it takes about ${bytes(drain.bytes)} on the wire${drain.seconds === null ? "" : `, ${duration(drain.seconds * 1000)} at the speed of late`}.`;
  const link = fleet === null ? "No daemon runs, or it has no fleet." : `The link is ${fleet.link}: ${fleet.uplink}.`;
  return `${shown}\n${words}\n${link}\n`;
}
