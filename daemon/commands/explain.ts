import type { Command } from "commander";
import { redact } from "../../sync/redact.ts";
import { EXIT_DONE } from "../errors.ts";
import { type ExplainedPart, explainExpression, seenBy } from "../explain.ts";
import { LogReader, type PlacedDecision } from "../log-reader.ts";
import { pastAgent } from "../past.ts";
import { actionLines } from "./action-text.ts";
import { dataDirectory, type Where } from "./data.ts";
import { decisionJson } from "./decision-line.ts";
import { figure, type Paint, painter, safe, time } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends Where {
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("explain <id>")
    .description(
      "why a decision came out as it did: inputs, each part of each condition with its value, each guard of its actions (reproduce runs it again)",
    )
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object")
    .addHelpText("after", "\nExample:\n  holdfast explain 0190f3c2-7d1e-7a31-8f0e-2b6c9d5a4e11")
    .action((id: string, options: Options) => run(() => explain(id, options, io)));

interface ExplainedRule {
  readonly id: string;
  readonly fired: boolean;
  readonly why: string;
  readonly conditions: readonly {
    readonly name: string;
    readonly source: string;
    readonly parts: readonly ExplainedPart[];
  }[];
}

async function explain(id: string, options: Options, io: Io): Promise<number> {
  const directory = dataDirectory(options, io);
  const log = new LogReader(directory);
  try {
    const placed = await log.byId(id);
    const { decision } = placed;
    const past = pastAgent(directory, placed);
    const shown = { ...placed, decision: redact(decision).body };
    const units = new Map(past.plan.inputs.map((input) => [input.name, input.unit]));
    const rules = past.plan.config.rules.map((rule): ExplainedRule => {
      const outcome = shown.decision.rules.find((one) => one.id === rule.id);
      const seen = seenBy(rule.id, decision as Parameters<typeof seenBy>[1], past.declarations);
      const conditions = [
        { name: "when", source: rule.when },
        ...(rule.clearWhen === undefined ? [] : [{ name: "clearWhen", source: rule.clearWhen }]),
      ];
      return {
        id: rule.id,
        fired: outcome?.fired ?? false,
        why: outcome?.why ?? (decision.source === "fallback" ? "no answer, so no rule was asked" : "not asked"),
        conditions: conditions.map(({ name, source }) => ({
          name,
          source,
          parts: explainExpression(source, past.declarations, seen, decision.private),
        })),
      };
    });
    const actions = (await log.actionsOf([decision.id])).get(decision.id) ?? [];
    if (options.json === true)
      io.out(
        `${JSON.stringify({ ...decisionJson(shown, actions), units: Object.fromEntries(units), explained: rules })}\n`,
      );
    else io.out(`${text(shown, rules, units, painter(io))}${actionLines(actions, painter(io)).join("\n")}\n`);
    return EXIT_DONE;
  } finally {
    log.close();
  }
}

function text(
  placed: PlacedDecision,
  rules: readonly ExplainedRule[],
  units: ReadonlyMap<string, string | undefined>,
  paint: Paint,
): string {
  const { decision } = placed;
  const lines = [
    `${paint(decision.id, "bold")}  epoch ${placed.epoch}, n ${placed.n}`,
    `agent       ${safe(decision.agent)}, key ${safe(decision.key)}${decision.eventId === undefined ? "" : `, event ${safe(decision.eventId)}`}`,
    `event time  ${time(decision.eventTime)}, received ${time(decision.receivedAt)}, decided ${time(decision.decidedAt)} (UTC)`,
    `generation  ${decision.generation}${decision.model === undefined ? "" : `, model ${decision.model.name} ${decision.model.version} (${decision.model.digest.slice(0, 19)})`}`,
    `source      ${decision.source}${decision.reason === undefined ? "" : `: ${safe(decision.reason)}`}`,
  ];
  if (decision.window !== undefined)
    lines.push(
      `window      ${decision.window.count} readings, ${Math.round(decision.window.coverage * 100)} % covered`,
    );
  lines.push("", paint("inputs", "bold"));
  for (const [name, value] of Object.entries(decision.inputs))
    lines.push(`  ${name.padEnd(20)} ${figure(value)} ${units.get(name) ?? ""}`.trimEnd());
  if (decision.queries !== undefined) {
    lines.push("", paint("queries", "bold"));
    for (const [name, value] of Object.entries(decision.queries))
      lines.push(`  ${name.padEnd(20)} ${safe(JSON.stringify(value), 100)}`);
  }
  if (decision.answer !== undefined) {
    lines.push("", paint("answer", "bold"));
    for (const [name, value] of Object.entries(decision.answer))
      lines.push(`  ${name.padEnd(20)} ${Array.isArray(value) ? JSON.stringify(value) : figure(value)}`);
  }
  for (const rule of rules) {
    lines.push("", `${paint(`rule ${rule.id}`, "bold")}: ${rule.fired ? paint("fired", "red") : rule.why}`);
    for (const { name, parts } of rule.conditions) {
      lines.push(`  ${paint(name, "dim")}`);
      for (const part of parts)
        lines.push(
          `  ${"  ".repeat(part.depth + 1)}${safe(part.text, 100)}  =  ${part.error === undefined ? paint(safe(figure(part.value)), "cyan") : paint(part.error, "yellow")}`,
        );
    }
  }
  return `${lines.join("\n")}\n`;
}
