import { createHash } from "node:crypto";
import type { PolicyRule } from "../config/policy.ts";
import type { Path, Problem } from "../config/problems.ts";
import type { ToolConfig } from "../config/tools.ts";
import { type Expression, ExpressionFailure, Expressions, NO_PASS } from "./expressions.ts";
import {
  type JudgedAction,
  type Policy,
  type PolicyContext,
  type PolicyVerdict,
  type RuleOutcome,
  verdictOf,
} from "./guard.ts";
import { type PolicyDevice, type PolicySubject, policyDeclarations } from "./policy-names.ts";

interface Deps {
  readonly device: PolicyDevice;
  readonly tools: Readonly<Record<string, ToolConfig>>;
  readonly problemAt: (path: Path, message: string, hint?: string) => Problem;
  readonly problems: Problem[];
}

/** Compiles the rules; mistakes in their conditions go to `problems`. */
export function compilePolicy(rules: readonly PolicyRule[], deps: Deps): CompiledPolicy | undefined {
  const expressions = new Expressions(policyDeclarations(deps.device, deps.tools));
  const before = deps.problems.length;
  const compiled = rules.map((rule, index) => {
    const { when } = rule;
    const condition = when === undefined ? undefined : conditionOf(when, ["policy", index, "when"], expressions, deps);
    return new CompiledPolicyRule(rule, condition);
  });
  return deps.problems.length > before ? undefined : new CompiledPolicy(compiled, expressions);
}

function conditionOf(source: string, at: Path, expressions: Expressions, deps: Deps): Expression | undefined {
  const compiled = expressions.compile(source, "condition");
  if (compiled.ok) return compiled.expression;
  for (const { message, offset, hint } of compiled.problems)
    deps.problems.push(deps.problemAt(at, `${message}${offset > 0 ? ` (at character ${offset + 1})` : ""}`, hint));
  return undefined;
}

const ANY = "*";

/** A rule, ready to be asked. */
export class CompiledPolicyRule {
  readonly config: PolicyRule;
  readonly condition: Expression | undefined;
  readonly holds: RuleOutcome;
  readonly fails: RuleOutcome;
  readonly #tools: ReadonlySet<string>;
  readonly #agents: ReadonlySet<string>;

  constructor(config: PolicyRule, condition: Expression | undefined) {
    const { id, effect, tools, agents } = config;
    this.config = config;
    this.condition = condition;
    this.holds = { rule: id, effect, outcome: true };
    this.fails = { rule: id, effect, outcome: false };
    this.#tools = new Set(tools);
    this.#agents = new Set(agents);
  }

  isAboutTool(tool: string): boolean {
    return this.#tools.has(ANY) || this.#tools.has(tool);
  }

  /** A person's action has no agent: only a rule about all is about it. */
  isAboutAgent(agent: string): boolean {
    return this.#agents.has(ANY) || (agent !== "" && this.#agents.has(agent));
  }
}

/** The rules in effect, and what they say of an action. */
export class CompiledPolicy implements Policy {
  readonly digest: string;
  readonly rules: readonly CompiledPolicyRule[];
  readonly #expressions: Expressions;
  readonly #byTool = new Map<string, readonly CompiledPolicyRule[]>();
  readonly #onAnyTool: readonly CompiledPolicyRule[];
  readonly #subject: { -readonly [Part in keyof PolicySubject]: PolicySubject[Part] | undefined } = {
    action: undefined,
    context: undefined,
  };

  constructor(rules: readonly CompiledPolicyRule[], expressions: Expressions) {
    this.digest = policyDigest(rules.map((rule) => rule.config));
    this.rules = rules;
    this.#expressions = expressions;
    this.#onAnyTool = rules.filter((rule) => rule.isAboutTool(ANY));
    for (const tool of new Set(rules.flatMap((rule) => rule.config.tools)))
      this.#byTool.set(
        tool,
        rules.filter((rule) => rule.isAboutTool(tool)),
      );
  }

  judge(action: JudgedAction, context: PolicyContext, nowMs: number): PolicyVerdict {
    return verdictOf(this.outcomes(action, context, nowMs), action.class);
  }

  /** What comes of each rule that is about the action's tool and agent. */
  outcomes(action: JudgedAction, context: PolicyContext, nowMs: number): RuleOutcome[] {
    const outcomes: RuleOutcome[] = [];
    let isBound = false;
    for (const rule of this.#byTool.get(action.tool) ?? this.#onAnyTool) {
      if (!rule.isAboutAgent(action.agent)) continue;
      if (rule.condition === undefined) outcomes.push(rule.holds);
      else {
        if (!isBound) this.#bind(action, context, nowMs);
        isBound = true;
        outcomes.push(outcomeOf(rule, rule.condition.test()));
      }
    }
    return outcomes;
  }

  #bind(action: JudgedAction, context: PolicyContext, nowMs: number): void {
    this.#subject.action = action;
    this.#subject.context = context;
    this.#expressions.bind(NO_PASS, undefined, nowMs, this.#subject);
  }
}

function outcomeOf(rule: CompiledPolicyRule, truth: boolean | ExpressionFailure): RuleOutcome {
  if (truth instanceof ExpressionFailure) return { ...rule.holds, outcome: "error", reason: truth.message };
  return truth ? rule.holds : rule.fails;
}

/** SHA-256 over the rules in the file's order, with their defaults, as JSON whose keys are sorted. */
export function policyDigest(rules: readonly PolicyRule[]): string {
  const plain = rules.map(({ agents, effect, id, tools, when }) => ({ agents, effect, id, tools, when }));
  return createHash("sha256").update(JSON.stringify(plain)).digest("hex");
}
