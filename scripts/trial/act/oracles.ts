import { executeWithinMs, IDEMPOTENT, NEVER } from "./configuration.ts";
import type { Evidence } from "./evidence.ts";
import type { Effect } from "./ledger-lines.ts";

/** One thing that has to hold, how often it was looked at, and each time that it did not. */
export interface Finding {
  readonly oracle: string;
  readonly sentence: string;
  readonly looked: number;
  readonly violations: readonly string[];
}

export type Oracle = (evidence: Evidence) => Finding;

const CLOCK_MS = 20;

export function told({ tool, key, id, atMs, via }: Effect): string {
  return `${tool} of ${key} (${id}) by ${via} at ${Math.round(atMs)}`;
}

export const intentFirst: Oracle = (evidence) => {
  const { effects, missing } = evidence.ledger;
  const violations = missing.map(
    ({ id, tool, atMs }) => `${tool} (${id}) came at ${Math.round(atMs)}, not in the log then`,
  );
  for (const effect of effects) {
    const intents = evidence.intentsOf(effect);
    const madeMs = intents.map(({ intent }) => intent.executeBefore.bootMs - executeWithinMs(intent.tool));
    if (intents.length === 0) violations.push(`${told(effect)} has no intent`);
    else if (Math.min(...madeMs) > effect.atMs + CLOCK_MS) violations.push(`${told(effect)} came before its intent`);
  }
  const sentence = "Every effect has an intent that was on disk before.";
  return { oracle: "intentFirst", sentence, looked: effects.length, violations };
};

export const once: Oracle = (evidence) => {
  const seen = new Map<string, number>();
  const violations: string[] = [];
  for (const effect of evidence.ledger.effects) {
    if (IDEMPOTENT.has(effect.tool)) continue;
    const name = `${effect.tool} ${effect.id}`;
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    const allowed = effect.via === "program" ? Math.max(1, evidence.intentsOf(effect).length) : 1;
    if (times > allowed) violations.push(`${told(effect)} came ${times} times`);
  }
  return { oracle: "once", sentence: "What is not idempotent comes once.", looked: seen.size, violations };
};

export const neverPermitted: Oracle = (evidence) => {
  const { effects } = evidence.ledger;
  const violations = effects.filter(({ tool }) => NEVER.has(tool)).map((effect) => `${told(effect)} is not allowed`);
  const looked = [...evidence.gathered.refused].reduce(
    (sum, [why, n]) => (NEVER.has(why.split(" ")[0] ?? "") ? sum + n : sum),
    0,
  );
  const sentence = "Nothing comes that the policy forbids, does not permit, or that nobody said yes to.";
  return { oracle: "neverPermitted", sentence, looked, violations };
};
