import type { RuleConfig } from "../config/agents.ts";
import type { Path, Problem } from "../config/problems.ts";
import type { Proposed } from "./act/action.ts";
import type { ArgumentValue } from "./act/tool.ts";
import { type AgentPlan, privateQueries } from "./agent-plan.ts";
import { type Expression, ExpressionFailure, type Expressions } from "./expressions.ts";

interface CompiledArgument {
  readonly name: string;
  readonly isPrivate: boolean;
  /** As written, where it is no expression. */
  readonly value: ArgumentValue | undefined;
  readonly expression: Expression | undefined;
}

/** One entry of a `do` list, ready to be proposed. */
export interface CompiledAction {
  readonly tool: string;
  readonly arguments: readonly CompiledArgument[];
}

/** Compiles the arguments of one entry; mistakes go to `problems`. */
export function compileAction(
  action: RuleConfig["do"][number],
  at: Path,
  plan: AgentPlan,
  scope: Expressions,
  problemAt: (path: Path, message: string, hint?: string) => Problem,
  problems: Problem[],
): CompiledAction[] {
  const hidden = privateNames(plan);
  const compiled = Object.entries(action.arguments).map(([name, value]): CompiledArgument => {
    if (typeof value !== "string") return { name, isPrivate: false, value, expression: undefined };
    const made = scope.compile(value, "value");
    if (made.ok) {
      const isPrivate = [...made.expression.reads].some((path) => hidden.has(path));
      return { name, isPrivate, value: undefined, expression: made.expression };
    }
    const hint = "Arguments are CEL expressions; text goes in quotes of its own: \"'too hot'\".";
    for (const one of made.problems)
      problems.push(problemAt([...at, "arguments", name], one.message, one.hint ?? hint));
    return { name, isPrivate: false, value: undefined, expression: undefined };
  });
  return [{ tool: action.tool, arguments: compiled }];
}

/** Paths of expressions that show a private field: the field itself, features made from it, questions it goes into. */
function privateNames(plan: AgentPlan): ReadonlySet<string> {
  const fields = new Set(plan.fields.filter((field) => field.isPrivate).map((field) => field.name));
  const features = (plan.features ?? []).filter(({ call }) => fields.has(call.field)).map(({ name }) => name);
  return new Set([
    ...[...fields].map((name) => `event.fields.${name}`),
    ...features.map((name) => `features.${name}`),
    ...privateQueries(plan).map((name) => `query.${name}`),
  ]);
}

/** The values now: what a rule proposes, or why an argument has none. */
export function proposedBy(rule: string, actions: readonly CompiledAction[]): Proposed[] {
  return actions.map((action, index) => {
    const given: Record<string, ArgumentValue> = {};
    let failure: string | undefined;
    for (const { name, value, expression } of action.arguments) {
      const now = expression === undefined ? value : expression.value();
      if (now instanceof ExpressionFailure) failure ??= `${name}: ${now.message}`;
      else if (isArgument(now)) given[name] = now;
      else failure ??= `${name}: it is no finite number, text or truth value`;
    }
    const hidden = action.arguments.filter((one) => one.isPrivate).map((one) => one.name);
    return { rule, index, tool: action.tool, arguments: given, private: hidden, failure };
  });
}

function isArgument(value: unknown): value is ArgumentValue {
  if (typeof value === "number") return Number.isFinite(value);
  return typeof value === "string" || typeof value === "boolean";
}
