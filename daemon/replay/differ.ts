import type { Proposed } from "../act/action.ts";
import {
  actionOf,
  isToldAgain,
  type Judged,
  judge,
  judgedThen,
  type Law,
  outcomeOf,
  type Question,
  type RecordedAction,
} from "./judging.ts";

/** One action before and after: in both, only as recorded, or only with the candidate. */
export interface ActionPair {
  readonly before: Judged | undefined;
  readonly after: Judged | undefined;
  /** The log does not have what the policy saw: nothing can be said of `after`. */
  readonly isUnknown?: boolean;
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
  readonly failures: readonly Proposed[];
  readonly isChanged: boolean;
}

interface Side {
  readonly actions: readonly Proposed[];
  readonly law: Law;
}

export interface Compared {
  /** What the policies are asked: the candidate's model may have said something else. */
  readonly question: { readonly before: Question; readonly after: Question };
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
  return {
    rules,
    actions,
    failures,
    isChanged: rules.some((one) => one.before !== one.after) || actions.some(isChangedPair),
  };
}

export function isChangedPair({ before, after, isUnknown }: ActionPair): boolean {
  if (isUnknown === true) return false;
  if (before === undefined || after === undefined) return true;
  return outcomeOf(before.effect) !== outcomeOf(after.effect);
}

function pairs(compared: Compared): ActionPair[] {
  const { question, before, after } = compared;
  const left = [...compared.recorded];
  const judgedBefore = before.actions.filter(isProposed).map((action) => {
    const at = left.findIndex((one) => one.rule === action.rule && one.tool === action.tool);
    const [recorded] = at < 0 ? [] : left.splice(at, 1);
    return recorded === undefined ? judge(action, question.before, before.law) : judgedThen(action, recorded);
  });
  // What the log has and the rules do not tell again stays as it was.
  judgedBefore.push(...left.map((one) => judgedThen(actionOf(one), one)));
  const open = after.actions.filter(isProposed).concat(left.map(actionOf));
  const paired = judgedBefore.map((then): ActionPair => {
    const at = open.findIndex((candidate) => isSameAction(candidate, then.action));
    const [candidate] = at < 0 ? [] : open.splice(at, 1);
    if (candidate === undefined) return { before: then, after: undefined };
    return rejudged(then, candidate, compared);
  });
  const more = open.map(
    (action): ActionPair => ({ before: undefined, after: judge(action, question.after, after.law) }),
  );
  return [...paired, ...more];
}

function rejudged(then: Judged, candidate: Proposed, { question, before, after, isJudgedAnew }: Compared): ActionPair {
  if (!isJudgedAnew && then.action.rule === candidate.rule) return { before: then, after: then };
  const isKnown = isToldAgain(then, question.before, before.law);
  return {
    before: then,
    after: isKnown ? judge(candidate, question.after, after.law) : undefined,
    ...(isKnown ? {} : { isUnknown: true }),
  };
}

function isProposed(action: Proposed): boolean {
  return action.failure === undefined;
}

/** The same effect on the world: whichever rule proposes it. */
function isSameAction(a: Proposed, b: Proposed): boolean {
  const names = Object.keys(a.arguments);
  return (
    a.tool === b.tool &&
    names.length === Object.keys(b.arguments).length &&
    names.every((name) => Object.is(a.arguments[name], b.arguments[name]))
  );
}
