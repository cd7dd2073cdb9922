import { type Command, InvalidArgumentError } from "commander";
import type { Ask } from "../api/questions.ts";
import type { DecisionFilter, FoundDecision, Place } from "../asking.ts";
import { EXIT_DONE, EXIT_USAGE, type Io, type RunVerb } from "./io.ts";
import { type Where, withFleet } from "./place.ts";
import { csv, safe, table } from "./text.ts";

interface Options extends Where {
  readonly gateway?: string;
  readonly agent?: string;
  readonly key?: string;
  readonly rule?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly follow?: boolean;
}

const SHOWN = 50;
const PAGE = 500;
const FOLLOW_MS = 1000;
const CLOCKS_DIFFER_MS = 600_000;
const COLUMNS = [
  "receivedAt",
  "correctedTime",
  "timeQuality",
  "gateway",
  "agent",
  "key",
  "source",
  "rules",
  "id",
] as const;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("decisions")
    .description("decisions of all gateways, the newest that came last; private values left out")
    .option("--gateway <name>", "only of this gateway")
    .option("--agent <name>", "only of this agent")
    .option("--key <key>", "only about this key")
    .option("--rule <id>", "only where this rule fired")
    .option("--since <when>", "came after: a time, or an age such as 15min, 24h, 7d", whenOption)
    .option("--until <when>", "likewise", whenOption)
    .option("--limit <n>", "the newest n (default: 50)", countOption)
    .option("--json", "one JSON object a line: the decision's own line with gateway, receivedAt, correctedTime")
    .option("--csv", "comma-separated")
    .option("--follow", "go on with what comes")
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .addHelpText("after", "\nExample:\n  holdfast-fleet decisions --gateway plant-7 --since 24h --json")
    .action((options: Options) => run(() => show(options, io)));

async function show(options: Options, io: Io): Promise<number> {
  if (options.json === true && options.csv === true) {
    io.err("holdfast-fleet: give --json or --csv, not both\n");
    return EXIT_USAGE;
  }
  const { gateway, agent, key, rule, since, until, limit = SHOWN } = options;
  const filter: DecisionFilter = { gateway, agent, key, rule, sinceMs: since, untilMs: until, limit };
  return await withFleet(options, async (ask) => {
    const first = await ask("decisions", filter);
    if (options.csv === true) io.out(`${COLUMNS.join(",")}\n`);
    print(first, options, io, true);
    if (options.follow === true) await follow(ask, filter, first.at(-1)?.place, options, io);
    return EXIT_DONE;
  });
}

async function follow(
  ask: Ask,
  filter: DecisionFilter,
  from: Place | undefined,
  options: Options,
  io: Io,
): Promise<void> {
  // Nothing was there that fits: what comes is looked for from a little before, since clocks differ.
  let after = from ?? { receivedUs: (Date.now() - CLOCKS_DIFFER_MS) * 1000, gateway: 0, epoch: "", stream: 0, seq: 0 };
  while (!io.stop.aborted) {
    const more = await ask("decisions", { ...filter, limit: PAGE, after });
    print(more, options, io, false);
    after = more.at(-1)?.place ?? after;
    if (more.length < PAGE) await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
  }
}

function print(found: readonly FoundDecision[], options: Options, io: Io, isFirst: boolean): void {
  if (options.json === true) for (const { line } of found) io.out(`${JSON.stringify(line)}\n`);
  else if (options.csv === true) for (const one of found) io.out(`${cells(one).map(csv).join(",")}\n`);
  else if (isFirst)
    io.out(
      table(
        COLUMNS,
        found.map((one) => cells(one).map((cell) => safe(String(cell ?? "–"), 40))),
        "no decision fits",
      ),
    );
  else
    for (const one of found)
      io.out(
        `${cells(one)
          .map((cell) => safe(String(cell ?? "–"), 40))
          .join("  ")}\n`,
      );
}

function cells({ line }: FoundDecision): readonly unknown[] {
  const rules = (Array.isArray(line["rules"]) ? line["rules"] : []) as { id?: string; fired?: boolean }[];
  const fired = rules.filter((rule) => rule.fired === true).map((rule) => rule.id ?? "");
  return COLUMNS.map((column) =>
    column === "rules" ? fired.join(" ") : column === "source" ? (line["source"] ?? "answer") : line[column],
  );
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

function whenOption(text: string): number {
  const age = /^(\d+(?:\.\d+)?)(s|min|h|d)$/.exec(text);
  if (age !== null) return Date.now() - Number(age[1]) * (UNIT_MS[age[2] ?? "s"] ?? 1000);
  const at = Date.parse(/Z|[-+]\d\d:?\d\d$/.test(text) || text.length === 10 ? text : `${text.replace(" ", "T")}Z`);
  if (!Number.isFinite(at))
    throw new InvalidArgumentError('Give a time such as "2026-11-23 07:00" or an age such as 90s, 15min, 24h or 7d.');
  return at;
}

function countOption(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 100_000)
    throw new InvalidArgumentError("Give a whole number from 1 to 100000.");
  return value;
}
