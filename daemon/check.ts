import type { RuleConfig } from "../config/agents.ts";
import { didYouMean, type Path, type Problem } from "../config/problems.ts";
import { fitModel } from "../models/fit.ts";
import type { Manifest } from "../models/manifest.ts";
import { type AgentPlan, type PlannedField, vitalsOf } from "./agent-plan.ts";
import { type CompiledAction, compileAction } from "./compiled-action.ts";
import type { Declarations, Declared } from "./expression-names.ts";
import { type Expression, Expressions } from "./expressions.ts";
import { scheduleProblem } from "./sources/schedule.ts";
import { vitalNames } from "./sources/vitals-parse.ts";

type ProblemAt = (path: Path, message: string, hint?: string) => Problem;

export interface CompiledRule {
  readonly config: RuleConfig;
  readonly when: Expression;
  readonly clearWhen: Expression | undefined;
  readonly actions: readonly CompiledAction[];
}

/** What an agent's expressions became. */
export interface CompiledAgent {
  readonly expressions: Expressions;
  readonly rules: readonly CompiledRule[];
  /** For what is proposed without an answer. */
  readonly withoutAnswer: Expressions;
  readonly fallback: readonly CompiledAction[];
  readonly silence: readonly CompiledAction[];
}

interface Device {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Checks an agent against its model and compiles its expressions; mistakes go to `problems`. */
export function checkAgent(
  plan: AgentPlan,
  manifest: Manifest | undefined,
  device: Device,
  problemAt: ProblemAt,
  problems: Problem[],
): CompiledAgent | undefined {
  const before = problems.length;
  const at: Path = ["agents", plan.name];
  for (const [index, source] of plan.config.sources.entries()) {
    if (source.kind === "schedule") {
      const problem = scheduleProblem(source);
      if (problem !== undefined) problems.push(problemAt([...at, "sources", index, "cron"], problem));
    }
    if (source.kind !== "vitals") continue;
    for (const [place, name] of (source.fields ?? []).entries()) {
      if (vitalsOf([name]).length === 0)
        problems.push(
          problemAt(
            [...at, "sources", index, "fields", place],
            `there is no vital "${name}"`,
            didYouMean(name, vitalNames) ?? `Known: ${vitalNames.join(", ")}.`,
          ),
        );
    }
  }
  if (manifest !== undefined) {
    const where = plan.features === undefined ? [...at, "model"] : [...at, "features"];
    for (const message of fitModel(manifest, plan.inputs)) problems.push(problemAt(where, message));
  }
  const expressions = new Expressions(declarationsOf(plan, manifest, device));
  // A fallback or a silence has no answer, and nobody was asked: what reads one there is a mistake.
  const withoutAnswer = new Expressions({ ...declarationsOf(plan, undefined, device), queries: [] });
  const actionsAt = (list: RuleConfig["do"], path: Path, scope: Expressions): CompiledAction[] =>
    list.flatMap((action, index) => compileAction(action, [...path, index], plan, scope, problemAt, problems));
  const rules = plan.config.rules.flatMap((rule, index) => {
    const path = [...at, "rules", index];
    const actions = actionsAt(rule.do, [...path, "do"], expressions);
    return compileRule(rule, path, expressions, problemAt, problems).map((one) => ({ ...one, actions }));
  });
  const fallback = actionsAt(plan.config.fallback?.do ?? [], [...at, "fallback", "do"], withoutAnswer);
  const silence = actionsAt(plan.config.silence?.do ?? [], [...at, "silence", "do"], withoutAnswer);
  return problems.length > before ? undefined : { expressions, rules, withoutAnswer, fallback, silence };
}

function compileRule(
  config: RuleConfig,
  at: Path,
  expressions: Expressions,
  problemAt: ProblemAt,
  problems: Problem[],
): Omit<CompiledRule, "actions">[] {
  const compileOne = (source: string, name: string): Expression | undefined => {
    const compiled = expressions.compile(source, "condition");
    if (compiled.ok) return compiled.expression;
    for (const one of compiled.problems) {
      const place = one.offset > 0 ? ` (at character ${one.offset + 1})` : "";
      problems.push(problemAt([...at, name], `${one.message}${place}`, one.hint));
    }
    return undefined;
  };
  const when = compileOne(config.when, "when");
  const clearWhen = config.clearWhen === undefined ? undefined : compileOne(config.clearWhen, "clearWhen");
  return when === undefined ? [] : [{ config, when, clearWhen }];
}

export function declarationsOf(plan: AgentPlan, manifest: Manifest | undefined, device: Device): Declarations {
  const inputs = new Map(manifest?.inputs.flatMap((input) => input.features).map((one) => [one.name, one]) ?? []);
  return {
    fields: plan.fields.map(declaredField),
    features: (plan.features ?? []).map(({ name }) => ({
      name,
      type: "number",
      min: inputs.get(name)?.min,
      max: inputs.get(name)?.max,
    })),
    answer: (manifest?.outputs ?? []).map((output): Declared => {
      const width = output.shape.slice(1).reduce<number>((product, size) => product * (size === "N" ? 1 : size), 1);
      const type =
        width > 1 ? "numbers" : output.type === "string" ? "text" : output.type === "bool" ? "boolean" : "number";
      return {
        name: output.name,
        type,
        min: output.min,
        max: output.max,
        width,
        ...(type === "text" && output.classes !== undefined ? { values: output.classes } : {}),
      };
    }),
    queries: Object.keys(plan.config.queries ?? {}),
    windowed: plan.config.window !== undefined,
    device,
  };
}

function declaredField(field: PlannedField): Declared {
  const type = field.type === "string" ? "text" : field.type === "boolean" ? "boolean" : "number";
  return { name: field.name, type, min: field.min, max: field.max, optional: field.missing === "null" };
}
