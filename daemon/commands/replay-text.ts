import { policyEffects } from "../../sync/records.ts";
import { type Limited, limitedCounts } from "../replay/limits.ts";
import type { AgentReport, ModelReport, Report } from "../replay/report.ts";
import { count, figure, type Paint, safe, table, time } from "./format.ts";

/** A replay's report as a person reads it. */
export function replayText(report: Report, paint: Paint): string {
  const parts = [
    heading(report, paint),
    ...report.agents.map((agent) => agentText(agent, paint)),
    ...report.models.map((model) => modelText(model, paint)),
    actionsText(report, paint),
    policyText(report, paint),
    examplesText(report, paint),
    limitsText(report, paint),
    wholeText(report, paint),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

function heading({ decisions, changed, estimatedPasses, from, to, interrupted }: Report, paint: Paint): string {
  const passes =
    estimatedPasses > decisions
      ? `, which stand for about ${count(estimatedPasses)} passes (${share(decisions, estimatedPasses)} were written down)`
      : "";
  const span = from === null || to === null ? "" : ` from ${time(Date.parse(from))} to ${time(Date.parse(to))}`;
  const stopped = interrupted ? paint("Stopped before the end.\n", "yellow") : "";
  return `${stopped}${paint(`${count(decisions)} decisions`, "bold")}${span}${passes}: ${changes(changed, decisions, paint)}\n`;
}

function changes(changed: number, of: number, paint: Paint): string {
  return changed === 0
    ? paint("none comes out otherwise", "green")
    : paint(`${count(changed)} come out otherwise (${share(changed, of)})`, "yellow");
}

function agentText(agent: AgentReport, paint: Paint): string {
  if (agent.refused.length > 0) return refusedText(agent, paint);
  const lines = [
    `${paint(safe(agent.agent), "bold")}: ${count(agent.decisions)} decisions, ${changes(agent.changed, agent.decisions, paint)}`,
    ...agent.left.map((one) => paint(`  ${count(one.count)} were left out: ${safe(one.reason, 200)}`, "yellow")),
    ...agent.notes.map((note) => paint(`  ${note}`, "yellow")),
    ...quietNotes(agent).map((note) => paint(`  ${note}`, "yellow")),
  ];
  const rows = agent.rules.map((rule) => [
    `  ${safe(rule.id)}`,
    rule.change,
    count(rule.recorded),
    count(rule.candidate),
    count(rule.more),
    count(rule.fewer),
    rule.moved > 0 ? `${count(rule.moved)} of them only earlier or later` : "",
  ]);
  const columns = [
    { title: "  rule" },
    { title: "" },
    { title: "fired", right: true },
    { title: "candidate", right: true },
    { title: "more", right: true },
    { title: "fewer", right: true },
    { title: "" },
  ];
  return `${lines.join("\n")}\n${rows.length === 0 ? "" : table(columns, rows, paint, "")}`;
}

function refusedText({ agent, refused }: AgentReport, paint: Paint): string {
  return `${paint(safe(agent), "bold")}: not replayed\n${refused.map((reason) => paint(`  ${safe(reason, 400)}\n`, "red")).join("")}`;
}

function quietNotes({ recordedShare, estimatedPasses, decisions, forgottenKeys }: AgentReport): string[] {
  return [
    ...(recordedShare < 1
      ? [
          `only ${share(decisions, estimatedPasses)} of its passes were written down: what happened in between is not seen, and forSeconds is told only roughly`,
        ]
      : []),
    ...(forgottenKeys > 0 ? [`${count(forgottenKeys)} times a key had to be forgotten: there are too many`] : []),
  ];
}

function modelText(model: ModelReport, paint: Paint): string {
  const failed = Object.entries(model.noAnswer).map(([reason, n]) => `${count(n)} ${reason}`);
  const lines = [
    `${paint(`model ${model.name} ${model.version}`, "bold")} instead of ${model.instead.join(", ") || "none"}: ${count(model.rows)} rows${failed.length === 0 ? "" : paint(`; no answer for ${failed.join(", ")}`, "yellow")}`,
  ];
  for (const [name, { max, p50, p99, other }] of Object.entries(model.outputs))
    lines.push(
      `  answer.${name} differs by ${figure(p50)} (median), ${figure(p99)} (99 %), ${figure(max)} (most)${other > 0 ? `; ${count(other)} times it is another value` : ""}`,
    );
  return `${lines.join("\n")}\n`;
}

function actionsText({ actions }: Report, paint: Paint): string {
  const columns = ["tool", "recorded", "candidate", "more", "fewer", "denied", "permitted", "asks"].map(
    (title, at) => ({
      title,
      right: at > 0,
    }),
  );
  const rows = Object.entries(actions.byTool).map(([tool, one]) => [
    safe(tool),
    ...[one.recorded, one.candidate, one.more, one.fewer, one.denied, one.permitted, one.asks].map(count),
  ]);
  const notes = [
    ...(actions.notProposed > 0
      ? [
          `${count(actions.notProposed)} of the recorded were not proposed then; they are worked out from the rules that fired`,
        ]
      : []),
    ...(actions.unknown > 0
      ? [`of ${count(actions.unknown)} nothing can be said: the log does not have what the policy saw`]
      : []),
    ...(actions.unworkable > 0 ? [`${count(actions.unworkable)} have an argument without a value`] : []),
  ];
  return `${table(columns, rows, paint, "no actions")}${notes.map((note) => paint(`  ${note}\n`, "yellow")).join("")}`;
}

const WORDS = { permit: "permit", requireApproval: "ask people", forbid: "forbid", deny: "not permit", none: "(none)" };

function policyText({ policy }: Report, paint: Paint): string {
  if (policy === null) return "";
  const effects = [...policyEffects, "none"] as const;
  const rows = effects
    .filter((before) => effects.some((after) => policy.table[before][after] > 0))
    .map((before) => [
      WORDS[before],
      ...effects.map((after) => cell(policy.table[before][after], before === after, paint)),
    ]);
  const columns = ["policy then \\ now", ...effects.map((effect) => WORDS[effect])].map((title, at) => ({
    title,
    right: at > 0,
  }));
  const errors = policy.errors.map(
    ({ rule, reason, count: n }) =>
      `${paint(`  rule ${safe(rule)} could not be evaluated ${count(n)} times: ${safe(reason)}`, "yellow")}\n`,
  );
  return `${table(columns, rows, paint, "no actions for the policy")}${errors.join("")}`;
}

function cell(n: number, isSame: boolean, paint: Paint): string {
  if (n === 0) return paint("–", "dim");
  return isSame ? count(n) : paint(count(n), "yellow");
}

function examplesText({ actions, agents }: Report, paint: Paint): string {
  const shown = actions.examples.map((one) => [
    paint(one.what, "yellow"),
    `${safe(one.tool)}(${Object.entries(one.arguments)
      .map(([name, value]) => `${safe(name)}: ${safe(JSON.stringify(value))}`)
      .join(", ")})`,
    safe(one.agent === "" ? one.rule : `${one.agent}/${one.rule}`),
    `${one.before?.effect ?? "none"} → ${one.after?.effect ?? "none"}${one.after === null || one.after.rules.length === 0 ? "" : ` by ${safe(one.after.rules.join(", "))}`}`,
    time(Date.parse(one.at ?? "")),
    one.decision,
  ]);
  const acted = new Set(actions.examples.map((one) => one.decision));
  const rules = agents.flatMap((agent) =>
    agent.rules.flatMap((rule) =>
      (["more", "fewer"] as const).flatMap((what) =>
        rule.examples[what]
          .filter((one) => !acted.has(one.decision))
          .map((one) => [
            paint(what === "more" ? "fires" : "does not fire", "yellow"),
            "",
            safe(`${agent.agent}/${rule.id}`),
            "",
            time(Date.parse(one.at ?? "")),
            one.decision,
          ]),
      ),
    ),
  );
  const rows = [...shown, ...rules];
  if (rows.length === 0) return "";
  return table(
    ["examples", "", "", "", "", "holdfast explain"].map((title) => ({ title })),
    rows,
    paint,
    "",
  );
}

function limitsText({ limits }: Report, paint: Paint): string {
  return (Object.keys(limitedCounts) as Limited[])
    .flatMap((name) => {
      const one = limits[name];
      if (one === undefined) return [];
      const words = name === "difference" ? "decisions that come out otherwise" : `actions ${name}`;
      const text = `at most ${one.limit} ${words}: ${count(one.count)} of ${count(one.of)} ${limitedCounts[name]} (${share(one.count, one.of)})`;
      return [one.passed ? paint(`held: ${text}\n`, "green") : paint(`exceeded: ${text}\n`, "red")];
    })
    .join("");
}

/** At the end, where it is read: what the figures above leave out. */
function wholeText({ agents }: Report, paint: Paint): string {
  const refused = agents.filter((agent) => agent.refused.length > 0).map((agent) => safe(agent.agent));
  return refused.length === 0 ? "" : paint(`not replayed: ${refused.join(", ")} (see above)\n`, "red");
}

function share(part: number, whole: number): string {
  return whole === 0 ? "–" : `${Number(((part / whole) * 100).toPrecision(3))} %`;
}
