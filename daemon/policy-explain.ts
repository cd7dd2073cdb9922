import type { AgentConfig } from "../config/agents.ts";
import type { ReleaseConfig } from "../config/release.ts";
import type { ToolConfig } from "../config/tools.ts";
import type { JudgedAction, PolicyContext } from "./guard.ts";
import type { CompiledPolicy, CompiledPolicyRule } from "./policy.ts";

export type Permission = "always" | "underCondition" | "needsApproval" | "forbidden" | "never";

/** Who may use a tool, as far as that is certain before there is an event. */
export interface Permitted {
  /** Empty: a person. */
  readonly agent: string;
  readonly tool: string;
  readonly class: ToolConfig["class"];
  /** One of the agent's rules proposes it; people may propose anything. */
  readonly proposed: boolean;
  readonly permission: Permission;
  readonly rules: readonly PermittedBy[];
}

export interface PermittedBy {
  readonly id: string;
  readonly effect: CompiledPolicyRule["config"]["effect"];
  readonly matches: "always" | "sometimes";
}

/** Each tool for each agent and for people, by the file's order. */
export function permissions(policy: CompiledPolicy, { agents, tools }: ReleaseConfig): Permitted[] {
  const proposers: [string, ReadonlySet<string>][] = [
    ...Object.entries(agents).map(([name, agent]): [string, Set<string>] => [name, proposedBy(agent)]),
    ["", new Set(Object.keys(tools))],
  ];
  return proposers.flatMap(([agent, proposed]) =>
    Object.entries(tools).map(([tool, config]): Permitted => {
      const rules = matching(policy, agent, tool, config);
      const permission = permissionOf(config, rules);
      return { agent, tool, class: config.class, proposed: proposed.has(tool), permission, rules };
    }),
  );
}

function proposedBy({ rules, fallback, silence }: AgentConfig): Set<string> {
  const all = [...rules.flatMap((rule) => rule.do), ...(fallback?.do ?? []), ...(silence?.do ?? [])];
  return new Set(all.map((one) => one.tool));
}

function isCertain(effect: PermittedBy["effect"]): (rule: PermittedBy) => boolean {
  return (rule) => rule.effect === effect && rule.matches === "always";
}

function permissionOf(tool: ToolConfig, rules: readonly PermittedBy[]): Permission {
  if (rules.some(isCertain("forbid"))) return "forbidden";
  if (rules.some(isCertain("requireApproval"))) return "needsApproval";
  const isPermitted = tool.class === "notify" || rules.some(isCertain("permit"));
  const mayRestrict = rules.some((rule) => rule.effect !== "permit");
  // A critical tool asks two people, whatever the policy says.
  if (isPermitted && tool.class === "critical" && !tool.safeDirection) return "needsApproval";
  if (isPermitted) return mayRestrict ? "underCondition" : "always";
  return rules.some((rule) => rule.effect !== "forbid") ? "underCondition" : "never";
}

/** Rules that match some action of this proposer with this tool: always, or as far as can be said now, sometimes. */
export function matching(policy: CompiledPolicy, agent: string, tool: string, config: ToolConfig): PermittedBy[] {
  const { class: kind, safeDirection, idempotent } = config;
  const by = agent === "" ? "somebody" : "";
  const action: JudgedAction = {
    ...{ tool, class: kind, safeDirection, idempotent, agent, by },
    ...{ target: "", arguments: {}, rule: "" },
  };
  const outcomes = new Map(policy.outcomes(action, NOTHING_SEEN, 0).map((one) => [one.rule, one.outcome]));
  return policy.rules.flatMap(({ config: { id, effect }, condition }): PermittedBy[] => {
    const outcome = outcomes.get(id);
    if (outcome === undefined) return [];
    const isKnown = [...(condition?.reads ?? [])].every((name) => isKnownBefore(name, agent));
    if (!isKnown) return [{ id, effect, matches: "sometimes" }];
    const matches = outcome === "error" ? effect !== "permit" : outcome;
    return matches ? [{ id, effect, matches: "always" }] : [];
  });
}

const NOTHING_SEEN: PolicyContext = { key: "", eventId: undefined, timeMs: 0, fields: {}, features: {}, answer: {} };

const KNOWN_BEFORE = /^(?:device(?:\.name|\.labels\..*)?|action(?:\.(?:tool|class|agent|safeDirection|idempotent))?)$/;

/** What a condition reads is the same for all actions of one proposer with one tool. */
function isKnownBefore(name: string, agent: string): boolean {
  return KNOWN_BEFORE.test(name) || (name === "action.by" && agent !== "") || (name === "action.rule" && agent === "");
}
