import type { AgentConfig } from "../../config/agents.ts";
import type { Answer } from "../../models/inference.ts";
import type { Arguments, ArgumentValue } from "../act/tool.ts";
import type { AgentPlan } from "../agent-plan.ts";
import type { Declarations, PassValues, StateValues } from "../expression-names.ts";
import { type Expression, ExpressionFailure, Expressions, type ExpressionValue } from "../expressions.ts";

/** An action that a rule proposes, with its arguments worked out. */
export interface ProposedAction {
  readonly rule: string;
  readonly tool: string;
  readonly arguments: Arguments;
  /** Names of arguments that come from private fields. */
  readonly private: readonly string[];
  /** Why an argument has no value: nothing would have been proposed. */
  readonly failure: string | undefined;
}

/** What a pass without a fired rule may propose, by the name that stands for its rule. */
export const edgeRules = { fallback: "fallback", silence: "silence" } as const;

interface Planned {
  readonly tool: string;
  readonly constants: Arguments;
  readonly expressions: readonly {
    readonly name: string;
    readonly expression: Expression;
    readonly isPrivate: boolean;
  }[];
}

/** The actions of one agent by rule. Its arguments were checked with the agent. */
export class RuleActions {
  readonly #withAnswer: Expressions;
  readonly #withoutAnswer: Expressions;
  readonly #byRule: ReadonlyMap<string, readonly Planned[]>;
  readonly #byEdge: ReadonlyMap<string, readonly Planned[]>;

  constructor(plan: AgentPlan, declarations: Declarations) {
    const { rules, fallback, silence } = plan.config;
    const secrets = privatePaths(plan);
    this.#withAnswer = new Expressions(declarations);
    this.#withoutAnswer = new Expressions({ ...declarations, answer: [] });
    this.#byRule = new Map(
      rules.map((rule) => [rule.id, rule.do.map((one) => planned(one, this.#withAnswer, secrets))]),
    );
    this.#byEdge = new Map(
      [[edgeRules.fallback, fallback?.do ?? []] as const, [edgeRules.silence, silence?.do ?? []] as const].map(
        ([edge, list]) => [edge, list.map((one) => planned(one, this.#withoutAnswer, secrets))],
      ),
    );
  }

  /** What fired rules propose in a pass, in the order of the rules. */
  ofRules(
    fired: ReadonlyMap<string, StateValues>,
    pass: PassValues,
    answer: Answer | undefined,
    nowMs: number,
  ): ProposedAction[] {
    if (fired.size === 0) return [];
    this.#withAnswer.bind(pass, answer, nowMs);
    return [...this.#byRule].flatMap(([rule, list]) => {
      const state = fired.get(rule);
      if (state === undefined) return [];
      this.#withAnswer.bindState(state);
      return list.map((one) => proposed(rule, one));
    });
  }

  ofEdge(edge: keyof typeof edgeRules, pass: PassValues, nowMs: number): ProposedAction[] {
    this.#withoutAnswer.bind(pass, undefined, nowMs);
    return (this.#byEdge.get(edge) ?? []).map((one) => proposed(edge, one));
  }
}

type ActionConfig = AgentConfig["rules"][number]["do"][number];

function planned(action: ActionConfig, scope: Expressions, secrets: ReadonlySet<string>): Planned {
  const constants: Record<string, ArgumentValue> = {};
  const expressions: Planned["expressions"][number][] = [];
  for (const [name, value] of Object.entries(action.arguments)) {
    const compiled = typeof value === "string" ? scope.compile(value, "value") : undefined;
    if (compiled?.ok) {
      const { expression } = compiled;
      expressions.push({ name, expression, isPrivate: [...expression.reads].some((path) => secrets.has(path)) });
    } else if (typeof value !== "string") constants[name] = value;
  }
  return { tool: action.tool, constants, expressions };
}

function proposed(rule: string, { tool, constants, expressions }: Planned): ProposedAction {
  const filled: Record<string, ArgumentValue> = { ...constants };
  let failure: string | undefined;
  for (const { name, expression } of expressions) {
    const value = expression.value();
    if (isArgument(value)) filled[name] = value;
    else
      failure ??= `${name}: ${value instanceof ExpressionFailure ? value.message : "no text, number or truth value"}`;
  }
  const secret = expressions.filter((one) => one.isPrivate).map((one) => one.name);
  return { rule, tool, arguments: filled, private: secret, failure };
}

function isArgument(value: ExpressionValue | ExpressionFailure): value is ArgumentValue {
  return (
    typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))
  );
}

/** Paths of values that are never shown: private fields, and features made of them. */
function privatePaths(plan: AgentPlan): ReadonlySet<string> {
  const fields = new Set(plan.fields.filter((field) => field.isPrivate).map((field) => field.name));
  const features = (plan.features ?? []).filter((feature) => fields.has(feature.call.field));
  return new Set([
    ...[...fields].map((name) => `event.fields.${name}`),
    ...features.map((feature) => `features.${feature.name}`),
  ]);
}
