import type { AgentConfig } from "../../config/agents.ts";
import type { Decision } from "../../sync/records.ts";
import { type DecisionExample, RuleCounts } from "./rule-counts.ts";

/** What the replay saw of one agent. */
export class AgentCounts {
  readonly name: string;
  readonly rules: RuleCounts;
  /** How each rule of the candidate and of the record compare. */
  readonly changes = new Map<string, RuleChange>();
  readonly notes = new Set<string>();
  readonly refused = new Set<string>();
  /** Decisions that could not be replayed, by reason. */
  readonly left = new Map<string, number>();
  decisions = 0;
  changed = 0;
  /** Passes that the decisions stand for, by the probability with which each was written down. */
  weight = 0;
  /** Passes that the agent counted. */
  counted = 0;
  recordsOnlyChanges = false;
  /** Keys whose rule states had to be forgotten. */
  evicted = 0;

  constructor(name: string, examples: number) {
    this.name = name;
    this.rules = new RuleCounts(examples);
  }

  /** Passes in all, written down or not. Where only changes are written down, the agent's own count tells. */
  get passes(): number {
    return Math.max(Math.round(this.weight), this.recordsOnlyChanges ? this.counted : 0);
  }

  compareRules(recorded: AgentConfig, candidate: AgentConfig): void {
    this.recordsOnlyChanges ||= recorded.record.quiet === "changes";
    for (const rule of candidate.rules) {
      const was = recorded.rules.find((one) => one.id === rule.id);
      const change = was === undefined ? "new" : JSON.stringify(was) === JSON.stringify(rule) ? "same" : "changed";
      this.changes.set(rule.id, candidate.enabled ? change : "removed");
    }
    for (const { id } of recorded.rules) if (!this.changes.has(id)) this.changes.set(id, "removed");
    for (const id of this.changes.keys()) this.rules.of(id);
  }

  seen(decision: Decision): number {
    const weight = 1 / (decision.samplingProbability ?? 1);
    this.decisions += 1;
    this.weight += weight;
    return weight;
  }

  leave(reason: string): void {
    this.left.set(reason, (this.left.get(reason) ?? 0) + 1);
  }
}

export type RuleChange = "same" | "changed" | "new" | "removed";

export function exampleOf(decision: Decision): DecisionExample {
  return { decision: decision.id, key: decision.key, at: decision.decidedAt };
}
