import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import { EXIT_DONE } from "../errors.ts";
import { type DecisionFilter, LogReader, type PlacedDecision } from "../log-reader.ts";
import { dataDirectory, type Where } from "./data.ts";
import { csvHeader, decisionColumns, decisionCsv, decisionJson, decisionRow } from "./decision-line.ts";
import { painter, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { countOption, timeOption } from "./times.ts";

interface Options extends Where {
  readonly agent?: string;
  readonly key?: string;
  readonly rule?: string;
  readonly since?: number;
  readonly until?: number;
  readonly id?: string;
  readonly limit?: number;
  readonly follow?: boolean;
  readonly json?: boolean;
  readonly csv?: boolean;
}

const SHOWN = 20;
const FOLLOW_MS = 500;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("decisions")
    .description("decisions that were written down, oldest of the shown ones first; works while the daemon is down")
    .option("--agent <name>", "only this agent's")
    .option("--key <key>", "only of this key")
    .option("--rule <id>", "only those in which this rule fired")
    .option("--since <when>", "a time, or an age such as 15min, 24h, 7d", timeOption)
    .option("--until <when>", "likewise", timeOption)
    .option("--id <id>", "one decision")
    .option("--limit <n>", "the newest n (default: 20 as a table, all as --json or --csv)", countOption)
    .option("--follow", "stay and show new ones as they are written, until Ctrl-C")
    .option("--json", "one JSON object a line")
    .option("--csv", "CSV with a header line")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .addHelpText("after", "\nExample:\n  holdfast decisions --agent pump-guard --since 24h --rule stop-on-anomaly")
    .action((options: Options) => run(() => decisions(options, io)));

async function decisions(options: Options, io: Io): Promise<number> {
  const log = new LogReader(dataDirectory(options, io));
  try {
    const print = printer(options, io, log);
    if (options.id !== undefined) {
      await print([await log.byId(options.id)]);
      return EXIT_DONE;
    }
    const filter: DecisionFilter = {
      agent: options.agent,
      key: options.key,
      rule: options.rule,
      sinceMs: options.since,
      untilMs: options.until,
    };
    const isWhole = options.limit === undefined && (options.json === true || options.csv === true);
    let last = 0;
    if (isWhole) for await (const batch of log.pages(filter)) last = (await print(batch)) ?? last;
    else last = (await print(await log.newest(filter, options.limit ?? SHOWN))) ?? 0;
    if (options.follow === true) await follow(log, { ...filter, untilMs: undefined }, last, print, io);
    return EXIT_DONE;
  } finally {
    log.close();
  }
}

/** Looks for new rows twice a second, in pages: nothing holds the database's WAL in between. */
async function follow(log: LogReader, filter: DecisionFilter, last: number, print: Print, io: Io): Promise<void> {
  let afterN = last;
  while (!io.stop.aborted) {
    for await (const batch of log.pages({ ...filter, afterN })) afterN = (await print(batch)) ?? afterN;
    await pause(FOLLOW_MS, undefined, { signal: io.stop }).catch(() => undefined);
  }
}

/** Prints decisions; returns the log number of the last one, if there was one. */
type Print = (batch: readonly PlacedDecision[]) => Promise<number | undefined>;

function printer(options: Options, io: Io, log: LogReader): Print {
  const paint = painter(io);
  let isFirst = true;
  return async (batch) => {
    if (options.json === true) {
      const actions = await log.actionsOf(batch.map((one) => one.decision.id));
      io.out(batch.map((one) => `${JSON.stringify(decisionJson(one, actions.get(one.decision.id)))}\n`).join(""));
    } else if (options.csv === true)
      io.out(`${isFirst ? `${csvHeader}\n` : ""}${batch.map((one) => `${decisionCsv(one)}\n`).join("")}`);
    else if (batch.length > 0 || isFirst) {
      const rows = batch.map((one) => decisionRow(one, Date.now(), paint));
      const text = table(decisionColumns, rows, paint, "no decisions yet that fit");
      io.out(isFirst || batch.length === 0 ? text : text.slice(text.indexOf("\n") + 1));
    }
    isFirst = false;
    return batch.at(-1)?.n;
  };
}
