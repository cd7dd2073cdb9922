import type { ActionExample } from "./action-counts.ts";
import type { AgentCounts, RuleChange } from "./agent-counts.ts";
import { type JudgedLimit, judgeLimits, type Limited, type Limits } from "./limits.ts";
import type { ModelCounts } from "./model-counts.ts";
import type { Replay } from "./replay.ts";
import type { DecisionExample, RuleCount } from "./rule-counts.ts";

/** What `holdfast replay --json` prints. */
export type Report = ReturnType<typeof reportOf>;
export type AgentReport = ReturnType<typeof agentReport>;
export type ModelReport = ReturnType<typeof modelReport>;

export function reportOf(replay: Replay, limits: Limits, hasPolicy: boolean, isInterrupted: boolean) {
  const { decisions, changed, actions } = replay;
  const agents = [...replay.agents.values()].map(agentReport);
  const judged = judgeLimits(limits, countsOf(replay));
  const { all, byTool, notProposed, unknown, unworkable, table, errors } = actions;
  const isWhole = !isInterrupted && agents.every((agent) => agent.refused.length === 0);
  return {
    from: iso(replay.from),
    to: iso(replay.to),
    decisions,
    changed,
    estimatedPasses: agents.reduce((sum, agent) => sum + agent.estimatedPasses, 0),
    agents,
    actions: {
      ...all,
      notProposed,
      unknown,
      unworkable,
      byTool: Object.fromEntries(byTool),
      examples: actions.examples.map(actionExample),
    },
    policy: hasPolicy ? { table, errors: [...errors.values()] } : null,
    models: [...replay.models.values()].map(modelReport),
    otherArms: replay.otherArms,
    otherActions: replay.otherActions,
    limits: Object.fromEntries(judged.map(({ name, ...limit }) => [name, limit])) as Partial<
      Record<Limited, Omit<JudgedLimit, "name">>
    >,
    interrupted: isInterrupted,
    passed: isWhole && judged.every((limit) => limit.passed),
  };
}

function countsOf({ decisions, changed, actions }: Replay): Record<Limited, { count: number; of: number }> {
  const { recorded: of, more, fewer, denied, permitted } = actions.all;
  return {
    difference: { count: changed, of: decisions },
    more: { count: more, of },
    fewer: { count: fewer, of },
    denied: { count: denied, of },
    permitted: { count: permitted, of },
  };
}

function agentReport(counts: AgentCounts) {
  const { name, decisions, changed, passes, left, notes, refused, evicted } = counts;
  return {
    agent: name,
    decisions,
    changed,
    estimatedPasses: passes,
    /** The share of all passes that was written down. */
    recordedShare: passes === 0 ? 1 : Math.min(1, decisions / passes),
    refused: [...refused],
    left: [...left].map(([reason, count]) => ({ reason, count })),
    notes: [...notes],
    forgottenKeys: evicted,
    rules: [...counts.changes].map(([id, change]) => ruleReport(id, change, counts.rules.of(id))),
  };
}

function ruleReport(id: string, change: RuleChange, count: RuleCount) {
  const { examples, estimatedMore, ...counted } = count;
  return {
    id,
    change,
    ...counted,
    estimatedMore: Math.round(estimatedMore),
    examples: { more: examples.more.map(decisionExample), fewer: examples.fewer.map(decisionExample) },
  };
}

function modelReport({ model, agents, replaced, rows, noAnswer, outputs }: ModelCounts) {
  const { name, version, digest } = model.manifest;
  return {
    name,
    version,
    digest,
    agents: [...agents],
    instead: [...replaced],
    rows,
    noAnswer: Object.fromEntries(noAnswer),
    outputs: Object.fromEntries(
      [...outputs].map(([output, { differences, other }]) => [
        output,
        {
          max: differences.largest,
          p50: differences.quantile(0.5),
          p99: differences.quantile(0.99),
          other,
        },
      ]),
    ),
  };
}

function decisionExample({ at, ...example }: DecisionExample) {
  return { ...example, at: iso(at) };
}

function actionExample({ at, before, after, ...example }: ActionExample) {
  return { ...example, at: iso(at), before: before ?? null, after: after ?? null };
}

function iso(wallMs: number): string | null {
  return Number.isFinite(wallMs) ? new Date(wallMs).toISOString() : null;
}
