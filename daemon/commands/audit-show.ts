import type { Command } from "commander";
import { Story } from "../audit/story.ts";
import type { Entry } from "../audit/timeline.ts";
import { EXIT_DONE } from "../errors.ts";
import { openLogPages } from "../log-pages.ts";
import { dataDirectory, type Where } from "./data.ts";
import { type Colour, iso, type Paint, painter, safe, table, time } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { countOption, timeOption } from "./times.ts";

interface Options extends Where {
  readonly since?: number;
  readonly until?: number;
  readonly tool?: string;
  readonly agent?: string;
  readonly person?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

const SHOWN = 50;

export function addShow(audit: Command, run: RunVerb, io: Io): void {
  audit
    .command("show")
    .description(
      "who did what, when, why and under which policy: starts, modes, stops, approvals and actions, oldest of the shown first",
    )
    .option("--since <when>", "a time, or an age such as 15min, 24h, 7d", timeOption)
    .option("--until <when>", "likewise", timeOption)
    .option("--tool <name>", "only actions of this tool")
    .option("--agent <name>", "only actions that this agent proposed")
    .option("--person <name>", "only what this person did")
    .option("--limit <n>", "the newest n (default: 50 as a table, all as --json)", countOption)
    .option("--json", "one JSON object a line, with the whole record")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .addHelpText("after", "\nExample:\n  holdfast audit show --since 24h --person jane")
    .action((options: Options) => run(() => show(options, io)));
}

async function show(options: Options, io: Io): Promise<number> {
  const pages = openLogPages(dataDirectory(options, io));
  try {
    const { tool, agent, person } = options;
    const story = new Story(pages, { tool, agent, person, sinceMs: options.since, untilMs: options.until });
    if (options.json !== true) io.out(text(await story.newest(options.limit ?? SHOWN), painter(io)));
    else if (options.limit !== undefined) io.out(lines(await story.newest(options.limit)));
    else for await (const entries of story.all()) io.out(lines(entries));
    return EXIT_DONE;
  } finally {
    pages.close();
  }
}

function lines(entries: readonly Entry[]): string {
  return entries.map((entry) => `${JSON.stringify({ ...entry, at: iso(entry.at) })}\n`).join("");
}

const columns = [
  { title: "when" },
  { title: "who" },
  { title: "what" },
  { title: "why" },
  { title: "policy" },
] as const;

function text(entries: readonly Entry[], paint: Paint): string {
  const rows = entries.map((entry) => [
    time(entry.at),
    paint(safe(entry.who, 32), entry.person === undefined ? "dim" : "bold"),
    paint(safe(entry.what, 72), colourOf(entry)),
    safe(entry.why ?? "", 60),
    safe(policyText(entry), 60),
  ]);
  return table(columns, rows, paint, "nothing was done that fits");
}

function policyText({ policy, verdict }: Entry): string {
  if (policy === undefined) return "";
  const rules = verdict === undefined || verdict.rules.length === 0 ? "" : ` by ${verdict.rules.join(" ")}`;
  return `${policy.slice(0, 8)} ${verdict?.effect ?? ""}${rules}`.trim();
}

const BAD = new Set(["denied", "failed", "expired", "unknown", "unverified", "refused", "rejected"]);

function colourOf({ kind, record }: Entry): Colour {
  if (kind === "latch") return record["latched"] === true ? "red" : "green";
  const ended = record[kind === "approval" ? "decision" : "state"];
  return typeof ended === "string" && BAD.has(ended) ? "yellow" : "cyan";
}
