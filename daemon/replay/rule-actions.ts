import type { Answer } from "../../models/inference.ts";
import type { Proposed } from "../act/action.ts";
import type { CompiledAgent } from "../check.ts";
import { proposedBy } from "../compiled-action.ts";
import type { PassValues, StateValues } from "../expression-names.ts";

/** What fired rules of an agent propose in a pass, in the order of the rules. */
export function ofRules(
  { rules, expressions }: CompiledAgent,
  fired: ReadonlyMap<string, StateValues>,
  pass: PassValues,
  answer: Answer | undefined,
  nowMs: number,
): Proposed[] {
  if (fired.size === 0) return [];
  expressions.bind(pass, answer, nowMs);
  return rules.flatMap(({ config, actions }) => {
    const state = fired.get(config.id);
    if (state === undefined) return [];
    expressions.bindState(state);
    return proposedBy(config.id, actions);
  });
}

/** What an agent proposes where there is no answer: when a fallback begins, when a key falls silent. */
export function withoutAnswer(
  compiled: CompiledAgent,
  why: "fallback" | "silence",
  pass: PassValues,
  nowMs: number,
): Proposed[] {
  compiled.withoutAnswer.bind(pass, undefined, nowMs);
  return proposedBy(why, compiled[why]);
}
