import type { ActFigures } from "./act.ts";
import type { ActPhase, DecidePhase, Phase, Round, Verdict } from "./bars.ts";
import type { RunFigures } from "./measure.ts";
import type { ProgramName } from "./program.ts";
import { median } from "./statistics.ts";

const figure = (value: number, digits = 0): string =>
  Number.isFinite(value)
    ? value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits })
    : "-";

interface Column<Run> {
  readonly title: string;
  readonly digits: number;
  readonly value: (run: Run) => number;
}

const floodColumns: readonly Column<RunFigures>[] = [
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

const evenColumns: readonly Column<RunFigures>[] = [
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

const actFloodColumns: readonly Column<ActFigures>[] = [
  { title: "actions/s", digits: 0, value: (run) => run.perSecond },
  { title: "CPU µs", digits: 0, value: (run) => run.cpuUsPerAction },
  { title: "main", digits: 0, value: (run) => run.stagesUsPerAction.main },
  { title: "writer", digits: 0, value: (run) => run.stagesUsPerAction.writer },
  { title: "host", digits: 0, value: (run) => run.stagesUsPerAction.host },
  { title: "other", digits: 0, value: (run) => run.stagesUsPerAction.other },
  { title: "commits each", digits: 3, value: (run) => run.commitsPerAction },
  { title: "written B", digits: 0, value: (run) => run.writtenBytesPerAction },
  { title: "kept B", digits: 0, value: (run) => run.keptBytesPerAction },
  { title: "verified", digits: 0, value: (run) => run.verified },
  { title: "lost", digits: 0, value: (run) => run.lost },
  { title: "twice", digits: 0, value: (run) => run.twice },
];

const actColumns: readonly Column<ActFigures>[] = [
  { title: "p50 ms", digits: 2, value: (run) => run.p50Ms },
  { title: "p99 ms", digits: 2, value: (run) => run.p99Ms },
  { title: "p99.9 ms", digits: 2, value: (run) => run.p999Ms },
  ...actFloodColumns.slice(1),
];

/** Medians of all rounds, a table for each way of sending. */
export function figuresText(rounds: readonly Round[]): string {
  const parts: [title: string, table: string][] = [
    ["Flood (CPU and bytes are for each decision)", tableOf(rounds, floodColumns, ["flood"], decideRun)],
    ["1,000 messages a second", tableOf(rounds, evenColumns, ["paced", "prompt"], decideRun)],
    [
      "Flood in which each message leads to an effect (CPU and bytes are for each effect)",
      tableOf(rounds, actFloodColumns, ["act-flood"], actRun),
    ],
    ["100 effects a second, from message to effect", tableOf(rounds, actColumns, ["act"], actRun)],
  ];
  return parts
    .filter(([, table]) => table !== "")
    .flat()
    .join("\n\n");
}

type RunOf<Run, Shown> = (round: Round, program: ProgramName, phase: Shown) => Run | undefined;

function tableOf<Run, Shown extends Phase>(
  rounds: readonly Round[],
  columns: readonly Column<Run>[],
  shown: readonly Shown[],
  runOf: RunOf<Run, Shown>,
): string {
  const lines: string[][] = [];
  for (const qos of [0, 1] as const) {
    for (const program of ["bare", "holdfast"] as const) {
      for (const phase of shown) {
        const runs = rounds.filter((round) => round.qos === qos).flatMap((round) => runOf(round, program, phase) ?? []);
        if (runs.length === 0) continue;
        const name = `QoS ${qos} ${program}${program === "holdfast" && shown.length > 1 ? ` ${phase}` : ""}`;
        lines.push([name, ...columns.map(({ value, digits }) => figure(median(runs.map(value)), digits))]);
      }
    }
  }
  return lines.length === 0 ? "" : markdown(["", ...columns.map((column) => column.title)], lines);
}

const decideRun: RunOf<RunFigures, DecidePhase> = (round, program, phase) => {
  if (program === "holdfast") return round.holdfast[phase];
  return phase === "prompt" ? undefined : round.bare[phase];
};

const actRun: RunOf<ActFigures, ActPhase> = (round, program, phase) => round[program][phase];

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

/** One run in one line. */
export function stepText(round: number, qos: 0 | 1, phase: Phase, run: RunFigures | ActFigures): string {
  const text = isActRun(run) ? actText(phase, run) : decideText(phase, run);
  const flaws = flawsOf(run)
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count} ${what}`);
  return `round ${round} QoS ${qos} ${run.program} ${phase}: ${text}${flaws.length > 0 ? ` (${flaws.join(", ")})` : ""}`;
}

function isActRun(run: RunFigures | ActFigures): run is ActFigures {
  return "effects" in run;
}

function decideText(phase: Phase, run: RunFigures): string {
  return phase === "flood"
    ? `${Math.round(run.perSecond)} decisions/s, ${run.cpuUsPerDecision.toFixed(1)} µs CPU each`
    : `p50 ${run.p50Ms.toFixed(2)} ms, p99 ${run.p99Ms.toFixed(2)} ms, ${(100 * run.cores).toFixed(1)} % CPU, ${Math.round(run.pssBytes / 1e6)} MB`;
}

function actText(phase: Phase, run: ActFigures): string {
  const verified = run.program === "bare" ? "" : `, ${run.verified} verified`;
  return phase === "act-flood"
    ? `${Math.round(run.perSecond)} actions/s, ${run.cpuUsPerAction.toFixed(0)} µs CPU each${verified}`
    : `p50 ${run.p50Ms.toFixed(2)} ms, p99 ${run.p99Ms.toFixed(2)} ms, ${run.cpuUsPerAction.toFixed(0)} µs CPU each${verified}`;
}

function flawsOf(run: RunFigures | ActFigures): [count: number, what: string][] {
  if (!isActRun(run))
    return [
      [run.lost, "messages without a decision"],
      [run.twice, "decisions more than messages"],
      [run.unanswered, "decisions without the model's answer"],
    ];
  return [
    [run.lost, "messages without an effect"],
    [run.twice, "effects more than messages"],
    [run.unanswered, "decisions without the model's answer"],
    ...Object.entries(run.otherEnds).map(([state, count]): [number, string] => [count, state]),
  ];
}
