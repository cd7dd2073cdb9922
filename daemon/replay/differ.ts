import type { PolicyContext } from "../guard.ts";
import { type Judged, judge, judgedThen, type Law, outcomeOf, type RecordedAction } from "./judging.ts";
import type { ProposedAction } from "./rule-actions.ts";

/** One action before and after: in both, only as recorded, or only with the candidate. */
export interface ActionPair {
  readonly before: Judged | undefined;
  readonly after: Judged | undefined;
}

/** A rule that fired before, after, or both. */
export interface RulePair {
  readonly id: string;
  readonly before: boolean;
  readonly after: boolean;
}

/** What one decision came to, as recorded and with the candidate. */
export interface Difference {
  readonly rules: readonly RulePair[];
  readonly actions: readonly ActionPair[];
  /** Actions of the candidate whose arguments have no value: they would not be proposed. */
  readonly failures: readonly ProposedAction[];
  readonly isChanged: boolean;
}

interface Side {
  readonly actions: readonly ProposedAction[];
  readonly law: Law;
}

export interface Compared {
  readonly agent: string;
  readonly context: PolicyContext;
  readonly contextAfter: PolicyContext;
  readonly nowMs: number;
  readonly fired: { readonly before: ReadonlySet<string>; readonly after: ReadonlySet<string> };
  readonly before: Side;
  readonly after: Side;
  /** The candidate has a policy or tools of its own: what was said of an action then does not count for it. */
  readonly isJudgedAnew: boolean;
  readonly recorded: readonly RecordedAction[];
}

export function differ(compared: Compared): Difference {
  const { fired } = compared;
  const ids = new Set([...fired.before, ...fired.after]);
  const rules = [...ids].map((id) => ({ id, before: fired.before.has(id), after: fired.after.has(id) }));
  const actions = pairs(compared);
  const failures = compared.after.actions.filter((one) => !isProposed(one));
  return { rules, actions, failures, isChanged: rules.some((one) => one.before !== one.after) || actions.some(isChangedPair) };
}

export function isChangedPair({ before, after }: ActionPair): boolean {
  if (before === undefined || after === undefined) return true;
  return outcomeOf(before.effect) !== outcomeOf(after.effect);
}

function pairs(compared: Compared): ActionPair[] {
  const { agent, context, contextAfter, nowMs, before, after, isJudgedAnew } = compared;
  const left = [...compared.recorded];
  const judgedBefore = before.actions.filter(isProposed).map((action) => {
    const at = left.findIndex((one) => one.rule === action.rule && one.tool === action.tool);
    const [recorded] = at < 0 ? [] : left.splice(at, 1);
    return recorded === undefined
      ? judge(action, agent, context, before.law, nowMs)
      : judgedThen(action, recorded);
  });
  // What the log has and the rules do not tell again stays as it was.
  judgedBefore.push(...left.map((one) => judgedThen(actionOf(one), one)));
  const open = after.actions.filter(isProposed).concat(left.map(actionOf));
  const paired = judgedBefore.map((one): ActionPair => {
    const at = open.findIndex((candidate) => isSameAction(candidate, one.action));
    const [candidate] = at < 0 ? [] : open.splice(at, 1);
    if (candidate === undefined) return { before: one, after: undefined };
    const isAnew = isJudgedAnew || one.action.rule !== candidate.rule;
    return { before: one, after: isAnew ? judge(candidate, agent, contextAfter, after.law, nowMs) : one };
  });
  const more = open.map(
    (action): ActionPair => ({ before: undefined, after: judge(action, agent, contextAfter, after.law, nowMs) }),
  );
  return [...paired, ...more];
}

function isProposed(action: ProposedAction): boolean {
  return action.failure === undefined;
}

function actionOf(recorded: RecordedAction): ProposedAction {
  const { rule, tool, arguments: given } = recorded;
  return { rule, tool, arguments: given, private: recorded.private ?? [], failure: undefined };
}

/** The same effect on the world: whichever rule proposes it. */
function isSameAction(a: ProposedAction, b: ProposedAction): boolean {
  const names = Object.keys(a.arguments);
  return (
    a.tool === b.tool &&
    names.length === Object.keys(b.arguments).length &&
    names.every((name) => Object.is(a.arguments[name], b.arguments[name]))
  );
}
