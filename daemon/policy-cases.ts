import type { LoadedConfig } from "../config/load.ts";
import type { PolicyTest } from "../config/policy.ts";
import type { Problem } from "../config/problems.ts";
import type { ToolConfig } from "../config/tools.ts";
import { fillText, placesIn } from "./act/template.ts";
import type { Arguments } from "./act/tool.ts";
import type { JudgedAction, Policy, PolicyContext, PolicyVerdict } from "./guard.ts";
import { type CompiledPolicy, compilePolicy } from "./policy.ts";

/** A case of the file and what the policy says of it. */
export interface PolicyCase {
  readonly name: string;
  readonly test: PolicyTest;
  readonly verdict: PolicyVerdict;
  readonly isAsExpected: boolean;
}

/** The policy with its cases tried; mistakes of both go to `problems`. */
export function checkPolicy(loaded: LoadedConfig, problems: Problem[]): CompiledPolicy | undefined {
  const { gateway, generation } = loaded.config;
  const { tools, policy: rules, policyTests } = generation;
  const policy = compilePolicy(rules, { device: gateway.device, tools, problemAt: loaded.problemAt, problems });
  if (policy === undefined) return undefined;
  const before = problems.length;
  for (const [index, one] of policyCases(policy, policyTests, tools).entries())
    if (!one.isAsExpected) problems.push(loaded.problemAt(["policyTests", index, "expect"], failureOf(one)));
  return problems.length > before ? undefined : policy;
}

export function policyCases(
  policy: Policy,
  tests: readonly PolicyTest[],
  tools: Readonly<Record<string, ToolConfig>>,
): PolicyCase[] {
  return tests.map((test, index) => {
    const { action, context, nowMs } = situationOf(test, tools);
    const verdict = policy.judge(action, context, nowMs);
    const name = test.name ?? `case ${index + 1}`;
    return { name, test, verdict, isAsExpected: verdict.effect === test.expect };
  });
}

/** What was expected, what came out, and by which rules. */
export function failureOf({ name, test, verdict }: PolicyCase): string {
  const { effect, rules, errors } = verdict;
  const matching = rules.length === 0 ? "no rule matches" : `matching: ${rules.map((rule) => `"${rule}"`).join(", ")}`;
  const erred = errors.map(({ rule, reason }) => `; "${rule}" can not be evaluated: ${reason}`);
  return `${name}: expected ${test.expect}, and the policy says ${effect} (${matching})${erred.join("")}`;
}

interface Situation {
  readonly action: JudgedAction;
  readonly context: PolicyContext;
  readonly nowMs: number;
}

function situationOf({ action, context }: PolicyTest, tools: Readonly<Record<string, ToolConfig>>): Situation {
  const tool = Object.hasOwn(tools, action.tool) ? tools[action.tool] : undefined;
  const { key, id: eventId, time: timeMs, now, fields, features, answer } = context;
  return {
    action: {
      tool: action.tool,
      class: tool?.class ?? "consequential",
      target: targetOf(tool, action.arguments),
      arguments: action.arguments,
      safeDirection: tool?.safeDirection ?? false,
      idempotent: tool?.idempotent ?? false,
      agent: action.agent ?? "",
      rule: action.rule ?? "",
      by: action.agent === undefined ? (action.by ?? "somebody") : "",
    },
    context: { key, eventId, timeMs, fields, features, answer },
    nowMs: now ?? timeMs,
  };
}

/** As for an action that is proposed, but that an argument which the case does not name stays in its braces. */
function targetOf(tool: ToolConfig | undefined, given: Arguments): string {
  const template = tool?.target ?? (tool?.kind === "mqtt" ? tool.topic : "");
  const unnamed = Object.fromEntries(placesIn(template).map((name) => [name, `{${name}}`]));
  return fillText(template, { ...unnamed, ...given });
}
