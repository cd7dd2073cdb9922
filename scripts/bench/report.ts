import { type Phase, phases, type Round, type Verdict } from "./bars.ts";
import type { RunFigures } from "./measure.ts";
import type { ProgramName } from "./program.ts";
import { median } from "./statistics.ts";

const figure = (value: number, digits = 0): string =>
  Number.isFinite(value)
    ? value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits })
    : "-";

interface Column {
  readonly title: string;
  readonly digits: number;
  readonly value: (run: RunFigures) => number;
}

const floodColumns: readonly Column[] = [
  { title: "decisions/s", digits: 0, value: (run) => run.perSecond },
  { title: "CPU µs", digits: 1, value: (run) => run.cpuUsPerDecision },
  { title: "main", digits: 1, value: (run) => run.stagesUsPerDecision.main },
  { title: "writer", digits: 1, value: (run) => run.stagesUsPerDecision.writer },
  { title: "host", digits: 1, value: (run) => run.stagesUsPerDecision.host },
  { title: "other", digits: 1, value: (run) => run.stagesUsPerDecision.other },
  { title: "rows/commit", digits: 0, value: (run) => run.rowsPerCommit },
  { title: "written B", digits: 0, value: (run) => run.writtenBytesPerDecision },
  { title: "kept B", digits: 0, value: (run) => run.keptBytesPerDecision },
  { title: "lost", digits: 0, value: (run) => run.lost },
];

const evenColumns: readonly Column[] = [
  { title: "p50 ms", digits: 2, value: (run) => run.p50Ms },
  { title: "p99 ms", digits: 2, value: (run) => run.p99Ms },
  { title: "p99.9 ms", digits: 2, value: (run) => run.p999Ms },
  { title: "CPU %", digits: 1, value: (run) => 100 * run.cores },
  { title: "CPU µs", digits: 0, value: (run) => run.cpuUsPerDecision },
  { title: "PSS MB", digits: 0, value: (run) => run.pssBytes / 1e6 },
  { title: "rows/commit", digits: 1, value: (run) => run.rowsPerCommit },
  { title: "written B", digits: 0, value: (run) => run.writtenBytesPerDecision },
  { title: "kept B", digits: 0, value: (run) => run.keptBytesPerDecision },
  { title: "lost", digits: 0, value: (run) => run.lost },
];

/** Medians of all rounds, a table for each way of sending. */
export function figuresText(rounds: readonly Round[]): string {
  const flood = tableOf(rounds, floodColumns, ["flood"]);
  const even = tableOf(rounds, evenColumns, ["paced", "prompt"]);
  const parts = ["Flood (CPU and bytes are for each decision)", flood, "1,000 messages a second", even];
  return parts.filter((_, at) => (at < 2 ? flood !== "" : even !== "")).join("\n\n");
}

function tableOf(rounds: readonly Round[], columns: readonly Column[], shown: readonly Phase[]): string {
  const lines: string[][] = [];
  for (const qos of [0, 1] as const) {
    for (const program of ["bare", "holdfast"] as const) {
      for (const phase of phases.filter((name) => shown.includes(name))) {
        const runs = rounds.filter((round) => round.qos === qos).flatMap((round) => runOf(round, program, phase) ?? []);
        if (runs.length === 0) continue;
        const name = `QoS ${qos} ${program}${program === "holdfast" && phase !== "flood" ? ` ${phase}` : ""}`;
        lines.push([name, ...columns.map(({ value, digits }) => figure(median(runs.map(value)), digits))]);
      }
    }
  }
  return lines.length === 0 ? "" : markdown(["", ...columns.map((column) => column.title)], lines);
}

function runOf(round: Round, program: ProgramName, phase: Phase): RunFigures | undefined {
  if (program === "holdfast") return round.holdfast[phase];
  return phase === "prompt" ? undefined : round.bare[phase];
}

/** Every bar with the ratio of each round. */
export function barsText(verdicts: readonly Verdict[]): string {
  const digits = (value: number): number => (value >= 100 ? 0 : 2);
  const lines = verdicts.map((verdict) => [
    verdict.name,
    String(verdict.qos),
    `${verdict.best === "high" ? "≥" : "≤"} ${figure(verdict.limit, digits(verdict.limit))}`,
    figure(verdict.median, digits(verdict.median)),
    verdict.isMet ? "met" : "MISSED",
    verdict.perRound.map((value) => figure(value, digits(value))).join("  "),
  ]);
  return markdown(["bar", "QoS", "wanted", "median", "", "each round"], lines);
}

/** A table that reads well as it is and in a Markdown file. */
function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(3, title.length, ...lines.map((line) => (line[at] ?? "").length)));
  const isText = head.map((_, at) => at === 0 || (at === head.length - 1 && head[at] === "each round"));
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => (isText[at] ? cell.padEnd(widths[at] as number) : cell.padStart(widths[at] as number))).join(" | ")} |`;
  const rule = `|${widths.map((width, at) => (isText[at] ? `:${"-".repeat(width + 1)}` : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [row(head), rule, ...lines.map(row)].join("\n");
}
