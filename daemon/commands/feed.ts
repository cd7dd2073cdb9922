import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import { openPublisher } from "../bus/publisher.ts";
import { cellTime, cellValue, readCsv } from "../csv.ts";
import { DaemonError, EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { count } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createProgress } from "./progress.ts";
import { countOption, positiveOption } from "./times.ts";

interface Options {
  readonly csv: string;
  readonly topic: string;
  readonly broker: string;
  readonly qos: string;
  readonly rate?: number;
  readonly realtime?: boolean;
  readonly speed: number;
  readonly timestamp: string;
  readonly id?: boolean;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("feed")
    .description("publish the rows of a CSV file on the bus, one JSON message a row, names from the header line")
    .requiredOption("--csv <file>", "a CSV file with a header line")
    .requiredOption("--topic <topic>", "where to publish; {column} is replaced by that column's value")
    .option("--broker <url>", "the bus", "mqtt://127.0.0.1:1883")
    .option("--qos <0|1>", "1 waits for the acknowledgement of each message", "1")
    .option("--rate <n>", "messages a second; without it, as fast as they are acknowledged", positiveOption)
    .option("--realtime", "keep the distances of the timestamp column")
    .option("--speed <factor>", "with --realtime: how many times faster", positiveOption, 1)
    .option("--timestamp <column>", "the column with the time", "timestamp")
    .option("--id", "add an id to each message (file line), so that feeding twice is one decision a row")
    .option("--username <name>", "user of the bus")
    .option("--password-file <file>", "file with this user's password")
    .option("--limit <n>", "only the first n rows", countOption)
    .option("--json", "print the summary as JSON")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast feed --csv readings.csv --topic plant/machine-1/temperature --rate 2000",
    )
    .action((options: Options) => run(() => feed(options, io)));

async function feed(options: Options, io: Io): Promise<number> {
  const publisher = await openPublisher({
    url: options.broker,
    qos: options.qos === "0" ? 0 : 1,
    username: options.username,
    passwordFile: options.passwordFile,
  });
  const progress = createProgress(io, "messages", options.json === true);
  const pace = pacer(options);
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const startedAt = performance.now();
  let sent = 0;
  try {
    for await (const row of readCsv(options.csv)) {
      if (io.stop.aborted || sent >= limit) break;
      await pace(sent, row.cells, io.stop);
      await publisher.publish(
        topicOf(options.topic, row.cells),
        message(row.cells, options.id === true ? `${row.line}` : undefined),
      );
      sent += 1;
      progress.show(sent, row.progress);
    }
    await publisher.drained();
  } finally {
    progress.end();
    await publisher.close();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const summary = { sent, acknowledged: publisher.acknowledged(), seconds: Number(seconds.toFixed(3)) };
  const rate = count(sent / Math.max(seconds, 0.001));
  io.out(
    options.json === true
      ? `${JSON.stringify(summary)}\n`
      : `${count(sent)} messages sent in ${seconds.toFixed(1)} s (${rate}/s), ${count(summary.acknowledged)} acknowledged\n`,
  );
  return io.stop.aborted ? EXIT_FAILED : EXIT_DONE;
}

function message(cells: Readonly<Record<string, string>>, id: string | undefined): string {
  const body: Record<string, number | string> = {};
  for (const [name, text] of Object.entries(cells)) body[name] = cellValue(text);
  if (id !== undefined) body["id"] = id;
  return JSON.stringify(body);
}

function topicOf(template: string, cells: Readonly<Record<string, string>>): string {
  return template.replace(/\{([^}]+)\}/g, (_, name: string) => {
    const value = cells[name];
    if (value === undefined)
      throw new DaemonError(
        "INPUT_FILE",
        { column: name },
        { hint: "The topic names a column that the file does not have." },
      );
    return value.replace(/[+#/]/g, "_");
  });
}

type Pace = (sent: number, cells: Readonly<Record<string, string>>, stop: AbortSignal) => Promise<void>;

/** Waits until the next message is due: by rate, by the file's own distances, or not at all. */
function pacer(options: Options): Pace {
  const startedAt = performance.now();
  const until = async (dueMs: number, stop: AbortSignal): Promise<void> => {
    const waitMs = dueMs - (performance.now() - startedAt);
    if (waitMs >= 1) await pause(waitMs, undefined, { signal: stop }).catch(() => undefined);
  };
  if (options.realtime === true) {
    const { speed } = options;
    let first: number | undefined;
    return async (_, cells, stop) => {
      const at = cellTime(cells[options.timestamp] ?? "");
      if (!Number.isFinite(at))
        throw new DaemonError(
          "INPUT_FILE",
          { column: options.timestamp, value: cells[options.timestamp] },
          { hint: "--timestamp names the column with the time." },
        );
      first ??= at;
      await until((at - first) / speed, stop);
    };
  }
  if (options.rate === undefined) return async () => undefined;
  const { rate } = options;
  return async (sent, _, stop) => await until((sent / rate) * 1000, stop);
}
