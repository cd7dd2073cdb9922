import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import type { ActionLine } from "../act/action-line.ts";
import { EXIT_DONE } from "../errors.ts";
import { LogReader } from "../log-reader.ts";
import { dataDirectory, type Where } from "./data.ts";
import { age, type Paint, painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { countOption, timeOption } from "./times.ts";

interface Options extends Where {
  readonly agent?: string;
  readonly tool?: string;
  readonly state?: string;
  readonly open?: boolean;
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
  readonly follow?: boolean;
  readonly json?: boolean;
}

const SHOWN = 20;
const FOLLOW_MS = 500;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("actions")
    .description(
      "what was proposed, what became of it and why, oldest of the shown ones first; works while the daemon is down",
    )
    .option("--agent <name>", "only this agent's")
    .option("--tool <name>", "only of this tool")
    .option("--state <state>", "only in this state: denied, limited, awaitingApproval, verified, unknown, …")
    .option("--open", "only those of which more is to come")
    .option("--since <when>", "a time, or an age such as 15min, 24h, 7d", timeOption)
    .option("--until <when>", "likewise", timeOption)
    .option("--limit <n>", "the newest n (default: 20 as a table, all as --json)", countOption)
    .option("--follow", "stay and show new ones once nothing more comes of them, until Ctrl-C")
    .option("--json", "one JSON object a line")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .addHelpText("after", "\nExample:\n  holdfast actions --tool stop-pump --since 24h")
    .action((options: Options) => run(() => actions(options, io)));

async function actions(options: Options, io: Io): Promise<number> {
  const log = new LogReader(dataDirectory(options, io));
  const filter = { sinceMs: options.since, untilMs: options.until, isOpen: options.open };
  try {
    const print = printer(options, io);
    let last: string | undefined;
    if (options.limit === undefined && options.json === true)
      for await (const lines of log.actionPages(filter)) last = print(lines, options);
    else last = print(await newest(log, filter, options), options);
    if (options.follow === true) await follow(log, last, print, options, io);
    return EXIT_DONE;
  } finally {
    log.close();
  }
}

/** The newest that fit: what is filtered by content is looked for as far back as it takes. */
async function newest(
  log: LogReader,
  filter: Parameters<LogReader["newestActions"]>[0],
  options: Options,
): Promise<ActionLine[]> {
  const wanted = options.limit ?? SHOWN;
  const isPlain = options.agent === undefined && options.tool === undefined && options.state === undefined;
  const found = (await log.newestActions(filter, isPlain ? wanted : Number.POSITIVE_INFINITY)).filter((line) =>
    fits(line, options),
  );
  return found.slice(-wanted);
}

function fits(line: ActionLine, { agent, tool, state }: Options): boolean {
  return (
    (agent === undefined || line.agent === agent) &&
    (tool === undefined || line.tool === tool) &&
    (state === undefined || line.state === state)
  );
}

async function follow(log: LogReader, last: string | undefined, print: Print, options: Options, io: Io): Promise<void> {
  let after = last;
  while (!io.stop.aborted) {
    for await (const lines of log.actionPages({ after })) {
      // In order: one that is not over holds back those after it.
      const open = lines.findIndex((line) => !line.final && line.state !== "awaitingApproval");
      const over = open < 0 ? lines : lines.slice(0, open);
      after = print(over, options) ?? after;
      if (open >= 0) break;
    }
    await pause(FOLLOW_MS, undefined, { signal: io.stop }).catch(() => undefined);
  }
}

/** Prints those that fit; gives the id of the last one it was given. */
type Print = (lines: readonly ActionLine[], options: Options) => string | undefined;

function printer(options: Options, io: Io): Print {
  const paint = painter(io);
  let isFirst = true;
  return (lines) => {
    const shown = lines.filter((line) => fits(line, options));
    if (options.json === true) io.out(shown.map((line) => `${JSON.stringify(line)}\n`).join(""));
    else if (shown.length > 0 || isFirst) {
      const text = table(
        COLUMNS,
        shown.map((line) => row(line, Date.now(), paint)),
        paint,
        "no actions yet that fit",
      );
      io.out(isFirst || shown.length === 0 ? text : text.slice(text.indexOf("\n") + 1));
    }
    isFirst = false;
    return lines.at(-1)?.intent;
  };
}

const COLUMNS = [
  { title: "when" },
  { title: "tool" },
  { title: "arguments" },
  { title: "by" },
  { title: "policy" },
  { title: "state" },
  { title: "id" },
] as const;

const GOOD: ReadonlySet<string> = new Set(["verified", "acknowledged"]);
const BAD: ReadonlySet<string> = new Set(["failed", "unknown", "unverified", "expired"]);

function row(line: ActionLine, nowMs: number, paint: Paint): string[] {
  const given = Object.entries(line.arguments).map(([name, value]) => `${name}=${String(value)}`);
  const state = line.reason === null ? line.state : `${line.state}: ${line.reason}`;
  const colour = GOOD.has(line.state) ? "green" : BAD.has(line.state) ? "red" : "yellow";
  return [
    age(Date.parse(line.proposedAt), nowMs),
    safe(line.tool, 24),
    safe(given.join(" "), 40),
    safe(line.by ?? `${line.agent}/${line.rule}`, 32),
    safe(`${line.verdict.effect}${line.verdict.rules.length > 0 ? ` (${line.verdict.rules.join(" ")})` : ""}`, 40),
    paint(safe(state, 60), colour),
    line.intent,
  ];
}
