import type { Command } from "commander";
import { bundledExample } from "../assets.ts";
import { groupOf, groups } from "../doctor/catalogue.ts";
import { examine } from "../doctor/examine.ts";
import type { Finding, Level } from "../doctor/finding.ts";
import { gatherSite, type Site } from "../doctor/site.ts";
import { allTracks } from "../doctor/tracks.ts";
import { EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { version } from "../version.ts";
import { findConfig, type Where } from "./data.ts";
import { type Colour, type Paint, painter, safe } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends Where {
  readonly json?: boolean;
  readonly strict?: boolean;
  readonly verbose?: boolean;
}

const HELP = `
Example:
  holdfast doctor --config /etc/holdfast/holdfast.yaml

As root, or as a member of the service's group; the daemon may run or not. Nothing is changed. It ends within 30 s.
Exit status 0 without an error, 1 with one (with --strict: or with a warning). Every check: docs/doctor.md.`;

const JSON_SHAPE =
  "{version, ok, counts:{ok,warning,error,skipped}, findings:[{check,level,subject?,problem?,found,expected?,todo?}]}";

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("doctor")
    .description("look over machine, configuration, storage, connections and service; say what is wrong and what to do")
    .option("--config <file>", "the gateway's file (default: ./holdfast.yaml, /etc/holdfast/holdfast.yaml)")
    .option("--data <directory>", "its data directory; beats the file's store.directory")
    .option("--strict", "a warning counts as an error")
    .option("--json", JSON_SHAPE)
    .addHelpText("after", HELP)
    .action((options: Options) => run(() => doctor(options, io)));

async function doctor(options: Options, io: Io): Promise<number> {
  const isShown = io.terminal && options.json !== true;
  const progress = (text: string): void => {
    if (isShown) io.err(`\r\u001b[K${text.slice(0, io.columns - 1)}`);
  };
  progress("reading the configuration …");
  const { environment } = io;
  const site = await gatherSite({
    file: findConfig(options),
    data: options.data,
    example: bundledExample(),
    environment,
  });
  const findings = await examine(site, allTracks(), (open) =>
    progress(open.length === 0 ? "" : `looking at ${open.join(", ")}`),
  );
  const counts = countsOf(findings);
  const isOk = counts.error === 0 && (options.strict !== true || counts.warning === 0);
  if (options.json === true) io.out(`${JSON.stringify({ version: version(), ok: isOk, counts, findings })}\n`);
  else io.out(text(site, findings, counts, painter(io)));
  return isOk ? EXIT_DONE : EXIT_FAILED;
}

type Counts = Readonly<Record<Level, number>>;

function countsOf(findings: readonly Finding[]): Counts {
  const counts = { ok: 0, warning: 0, error: 0, skipped: 0 };
  for (const { level } of findings) counts[level] += 1;
  return counts;
}

const COLOURS: Readonly<Record<Level, Colour>> = { ok: "green", warning: "yellow", error: "red", skipped: "dim" };
const LONGEST = 400;

function text(site: Site, findings: readonly Finding[], counts: Counts, paint: Paint): string {
  const parts = [
    `${paint("Holdfast", "bold")} ${version()}, ${site.file ?? "the bundled example"}, ${site.dataDirectory}`,
  ];
  for (const group of groups) {
    const mine = findings.filter(({ check }) => groupOf(check) === group);
    parts.push("", paint(group, "bold"), ...mine.flatMap((finding) => lines(finding, paint)));
  }
  const { ok, warning, error, skipped } = counts;
  parts.push("", `${error} errors, ${warning} warnings, ${ok} ok, ${skipped} skipped`);
  return `${parts.join("\n")}\n`;
}

function lines({ check, level, subject, found, expected, todo }: Finding, paint: Paint): string[] {
  const about = subject === undefined ? "" : `${safe(subject, LONGEST)}: `;
  const first = `  ${paint(level.padEnd(7), COLOURS[level])}  ${check.padEnd(26)}  ${about}${safe(found, LONGEST)}`;
  const more = [
    expected === undefined ? "" : `expected: ${safe(expected, LONGEST)}`,
    todo === undefined ? "" : `to do: ${safe(todo, LONGEST)}`,
  ];
  return [first, ...more.filter((line) => line !== "").map((line) => `           ${line}`)];
}
