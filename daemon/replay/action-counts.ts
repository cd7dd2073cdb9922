import type { PolicyEffect } from "../../sync/records.ts";
import { PRIVATE } from "../../sync/redact.ts";
import type { Arguments, ArgumentValue } from "../act/tool.ts";
import { type ActionPair, isChangedPair } from "./differ.ts";
import { type Judged, outcomeOf } from "./judging.ts";
import type { DecisionExample } from "./rule-counts.ts";

/** How an action came out otherwise. */
export type ActionChange = "more" | "fewer" | "denied" | "permitted" | "asks";

export interface ActionExample extends DecisionExample {
  readonly what: ActionChange;
  readonly agent: string;
  readonly rule: string;
  readonly tool: string;
  readonly arguments: Arguments;
  /** What the policies say, and by which of their rules. */
  readonly before: { readonly effect: PolicyEffect; readonly rules: readonly string[] } | undefined;
  readonly after: { readonly effect: PolicyEffect; readonly rules: readonly string[] } | undefined;
}

export type ActionCount = Record<"recorded" | "candidate" | ActionChange, number>;

export type TableRow = Record<PolicyEffect | "none", number>;

/** Counts actions: what would be proposed and what not, and what the policy says of it. */
export class ActionCounts {
  readonly all: ActionCount = emptyCount();
  readonly byTool = new Map<string, ActionCount>();
  /** What was said (or none: not proposed), by what the candidate says. */
  readonly table: Record<PolicyEffect | "none", TableRow> = {
    permit: emptyRow(),
    requireApproval: emptyRow(),
    forbid: emptyRow(),
    deny: emptyRow(),
    none: emptyRow(),
  };
  readonly examples: ActionExample[] = [];
  /** Rules of the candidate's policy that could not be evaluated, with the reason. */
  readonly errors = new Map<string, { readonly rule: string; readonly reason: string; count: number }>();
  /** Actions that were worked out from rules that fired: nothing was proposed then. */
  notProposed = 0;
  /** Actions of which nothing can be said: the log does not have what the policy saw. */
  unknown = 0;
  /** Actions whose arguments have no value. */
  unworkable = 0;
  readonly #examples: number;

  constructor(examples: number) {
    this.#examples = examples;
  }

  add(pair: ActionPair, agent: string, example: DecisionExample): void {
    const { before, after, isUnknown } = pair;
    const action = (before ?? after)?.action;
    if (action === undefined) return;
    if (isUnknown === true) this.unknown += 1;
    const change = changeOf(pair);
    const tool = this.byTool.get(action.tool) ?? emptyCount();
    this.byTool.set(action.tool, tool);
    for (const count of [this.all, tool]) {
      if (before !== undefined) count.recorded += 1;
      if (after !== undefined || isUnknown === true) count.candidate += 1;
      if (change !== undefined) count[change] += 1;
    }
    if (before !== undefined && !before.isRecorded) this.notProposed += 1;
    if (isUnknown !== true) this.table[before?.effect ?? "none"][after?.effect ?? "none"] += 1;
    for (const { rule, reason } of after?.errors ?? []) this.#error(rule, reason);
    if (change !== undefined) this.#example(change, pair, agent, example);
  }

  #error(rule: string, reason: string): void {
    const known = this.errors.get(`${rule}\0${reason}`);
    if (known !== undefined) known.count += 1;
    else if (this.errors.size < MOST_ERRORS) this.errors.set(`${rule}\0${reason}`, { rule, reason, count: 1 });
  }

  #example(what: ActionChange, { before, after }: ActionPair, agent: string, example: DecisionExample): void {
    if (this.all[what] > this.#examples) return;
    const { action } = (after ?? before) as Judged;
    const { rule, tool } = action;
    const told = (judged: Judged | undefined) => judged && { effect: judged.effect, rules: judged.rules };
    this.examples.push({
      what,
      ...example,
      agent,
      rule,
      tool,
      arguments: shownArguments(before?.action ?? action, after?.action ?? action),
      before: told(before),
      after: told(after),
    });
  }
}

const MOST_ERRORS = 100;

/** An argument that is private on either side is private. */
function shownArguments(before: Judged["action"], after: Judged["action"]): Arguments {
  const hidden = new Set([...before.private, ...after.private]);
  const entries = Object.entries(after.arguments);
  return Object.fromEntries(
    entries.map(([name, value]): [string, ArgumentValue] => [name, hidden.has(name) ? PRIVATE : value]),
  );
}

function changeOf(pair: ActionPair): ActionChange | undefined {
  const { before, after } = pair;
  if (pair.isUnknown === true) return undefined;
  if (before === undefined) return "more";
  if (after === undefined) return "fewer";
  if (!isChangedPair(pair)) return undefined;
  const outcome = outcomeOf(after.effect);
  if (outcome === "refuse") return "denied";
  return outcome === "permit" ? "permitted" : "asks";
}

function emptyCount(): ActionCount {
  return { recorded: 0, candidate: 0, more: 0, fewer: 0, denied: 0, permitted: 0, asks: 0 };
}

function emptyRow(): TableRow {
  return { permit: 0, requireApproval: 0, forbid: 0, deny: 0, none: 0 };
}
