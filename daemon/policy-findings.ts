import { didYouMean } from "../config/problems.ts";
import type { ReleaseConfig } from "../config/release.ts";
import { planAgent } from "./agent-plan.ts";
import { STRENGTH } from "./guard.ts";
import type { CompiledPolicy, CompiledPolicyRule } from "./policy.ts";
import { type Permitted, type PermittedBy, permissions } from "./policy-explain.ts";

export type FindingKind = "neverMatches" | "noEffect" | "needless" | "nobodyMayUse" | "unknownName";

/** Something of a policy that its author hardly meant. Only what is certain is said. */
export interface PolicyFinding {
  readonly kind: FindingKind;
  readonly rule?: string;
  readonly tool?: string;
  readonly message: string;
}

export interface ExplainedPolicy {
  readonly permissions: readonly Permitted[];
  readonly findings: readonly PolicyFinding[];
}

export function explainPolicy(policy: CompiledPolicy, generation: ReleaseConfig): ExplainedPolicy {
  const all = permissions(policy, generation);
  const possible = all.filter((one) => one.proposed);
  const findings = [
    ...policy.rules.flatMap((rule) => ruleFinding(rule, possible, policy)),
    ...policy.rules.flatMap((rule) => nameFindings(rule, possible, generation)),
    ...Object.keys(generation.tools).flatMap((tool) => toolFinding(tool, possible)),
  ];
  return { permissions: all, findings };
}

const quoted = (names: Iterable<string>): string => [...new Set(names)].map((name) => `"${name}"`).join(", ");

function aboutOf(rule: CompiledPolicyRule, possible: readonly Permitted[]): readonly Permitted[] {
  return possible.filter(({ agent, tool }) => rule.isAboutTool(tool) && rule.isAboutAgent(agent));
}

function ruleFinding(
  rule: CompiledPolicyRule,
  possible: readonly Permitted[],
  policy: CompiledPolicy,
): PolicyFinding[] {
  const { id, effect } = rule.config;
  const finding = (kind: FindingKind, message: string): PolicyFinding[] => [{ kind, rule: id, message }];
  const about = aboutOf(rule, possible);
  if (about.length === 0) return finding("neverMatches", "no agent that it is about proposes a tool that it is about");
  const matched = about.filter(({ rules }) => rules.some((by) => by.id === id));
  if (matched.length === 0)
    return finding("neverMatches", "its condition does not hold for any action that it is about");
  const isStronger = (by: PermittedBy): boolean => by.matches === "always" && STRENGTH[by.effect] > STRENGTH[effect];
  const stronger = matched.map(({ rules }) => rules.filter(isStronger).map((by) => by.id));
  if (stronger.every((ids) => ids.length > 0)) {
    const named = policy.rules.map((one) => one.config.id).filter((one) => stronger.some((ids) => ids.includes(one)));
    return finding("noEffect", `whatever it says is always overruled by ${quoted(named)}`);
  }
  if (effect === "permit" && matched.every((one) => one.class === "notify"))
    return finding("needless", "it is about notifications alone, and these need no permit");
  return [];
}

/** Names that a condition reads and that no agent it is about has. */
function nameFindings(
  rule: CompiledPolicyRule,
  possible: readonly Permitted[],
  { agents }: ReleaseConfig,
): PolicyFinding[] {
  const plans = [...new Set(aboutOf(rule, possible).map((one) => one.agent))].flatMap((name) => {
    const config = agents[name];
    return config === undefined ? [] : [planAgent(name, config, () => undefined)];
  });
  if (plans.length === 0) return [];
  const known: Readonly<Record<string, readonly string[]>> = {
    "event.fields.": plans.flatMap((plan) => plan.fields.map((field) => field.name)),
    "features.": plans.flatMap((plan) => (plan.features ?? []).map((feature) => feature.name)),
  };
  return [...(rule.condition?.reads ?? [])].flatMap((path): PolicyFinding[] => {
    const group = Object.keys(known).find((prefix) => path.startsWith(prefix));
    const name = path.slice(group?.length);
    const names = group === undefined ? undefined : known[group];
    if (names === undefined || names.includes(name)) return [];
    const hint = didYouMean(name, names);
    const message = `none of the agents that it is about has ${path}${hint === undefined ? "" : ` (${hint})`}`;
    return [{ kind: "unknownName", rule: rule.config.id, message }];
  });
}

function forbidsOf({ rules }: Permitted): readonly PermittedBy[] {
  return rules.filter((by) => by.effect === "forbid" && by.matches === "always");
}

function toolFinding(tool: string, possible: readonly Permitted[]): PolicyFinding[] {
  const uses = possible.filter((one) => one.tool === tool);
  if (uses.some((one) => one.permission !== "forbidden" && one.permission !== "never")) return [];
  const forbidding = uses.flatMap((one) => forbidsOf(one).map((by) => by.id));
  const why = forbidding.length === 0 ? "no rule permits it" : `it is forbidden by ${quoted(forbidding)}`;
  return [{ kind: "nobodyMayUse", tool, message: `nobody may use it: ${why}` }];
}
