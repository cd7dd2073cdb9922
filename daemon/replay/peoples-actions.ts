import type { PolicyContext } from "../guard.ts";
import type { ActionPair } from "./differ.ts";
import { actionOf, isToldAgain, judge, judgedThen, type Law, type Question } from "./judging.ts";
import type { PersonsAction } from "./logged-passes.ts";

/** What the candidate's policy says of an action that a person proposed. */
export function personsPair({ action, wallMs }: PersonsAction, laws: { before: Law; after: Law }): ActionPair {
  const { agent, key } = action;
  const told = "context" in action ? (action.context as unknown as PolicyContext | undefined) : undefined;
  const context = told ?? { key, timeMs: wallMs, fields: {}, features: {}, answer: {} };
  const question: Question = {
    proposer: { agent, by: action.by ?? "" },
    context,
    nowMs: wallMs,
    hidesReasons: action.private !== undefined,
  };
  const then = judgedThen(actionOf(action), action);
  if (!isToldAgain(then, question, laws.before)) return { before: then, after: undefined, isUnknown: true };
  return { before: then, after: judge(then.action, question, laws.after) };
}
