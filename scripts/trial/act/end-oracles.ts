import { READ_BACK } from "./configuration.ts";
import type { Evidence } from "./evidence.ts";
import type { IntentLine } from "./gathered.ts";
import { type Oracle, told } from "./oracles.ts";

/** Ends that say: it never left. */
const NEVER_LEFT = new Set(["expired", "suppressed", "limited", "denied", "dryRun"]);

/** Every intent that the log still has comes to an end that it says. */
export const ended: Oracle = (evidence) => {
  const { intents, outcomes } = evidence.gathered;
  const violations: string[] = [];
  let looked = 0;
  for (const { action, intent, isLost } of intents.values()) {
    if (isLost) continue;
    looked += 1;
    const finals = (outcomes.get(action) ?? []).filter(({ outcome, isLost: gone }) => !gone && outcome.final === true);
    if (finals.length !== 1)
      violations.push(
        `${intent.tool} ${action} has ${finals.length} ends: ${finals.map(({ outcome }) => outcome.state).join(", ")}`,
      );
  }
  return { oracle: "ended", sentence: "Every intent ends once.", looked, violations };
};

/** What is called verified was shown by the plant; whether the plant lied is not the daemon's to know. */
export const verified: Oracle = (evidence) => {
  const shown = new Set(
    evidence.ledger.answers.filter(({ says }) => says).map(({ tool, key, token }) => `${tool} ${key} ${token}`),
  );
  const violations: string[] = [];
  let looked = 0;
  for (const { action, intent, token } of evidence.gathered.intents.values()) {
    if (!READ_BACK.has(intent.tool)) continue;
    const isVerified = (evidence.gathered.outcomes.get(action) ?? []).some(
      ({ outcome }) => outcome.state === "verified",
    );
    if (!isVerified) continue;
    looked += 1;
    if (!shown.has(`${intent.tool} ${intent.key} ${token}`))
      violations.push(`${intent.tool} ${action} is verified, and nothing showed it`);
  }
  return { oracle: "verified", sentence: "What is verified was shown by the plant.", looked, violations };
};

/** What came is not told as what never left. */
export const toldTruly: Oracle = (evidence) => {
  const { effects } = evidence.ledger;
  const violations = effects.flatMap((effect) => {
    const [line, more] = evidence.intentsOf(effect);
    // Of two that one effect may come from, either may be the one.
    const end = line === undefined || more !== undefined ? undefined : endOf(evidence, line);
    const isUntrue =
      end !== undefined && (NEVER_LEFT.has(end.state) || end.reason?.includes("before it left") === true);
    return isUntrue ? [`${told(effect)} came, and ended as ${end.state}: ${end.reason ?? ""}`] : [];
  });
  return {
    oracle: "toldTruly",
    sentence: "What came is not told as what never left.",
    looked: effects.length,
    violations,
  };
};

/** The end that the log still tells of an intent, or told before an older database took its place. */
export function endOf(evidence: Evidence, line: IntentLine): { state: string; reason: string | undefined } | undefined {
  const all = evidence.gathered.outcomes.get(line.action) ?? [];
  const last = all.findLast(({ isLost, outcome }) => isLost === line.isLost && outcome.final === true);
  return last === undefined ? undefined : { state: last.outcome.state, reason: last.outcome.reason };
}

/** How actions ended, by state; and how many that are verified the plant only boasted of. */
export function endsOf(evidence: Evidence): ReadonlyMap<string, number> {
  const ends = new Map<string, number>();
  const add = (name: string): void => void ends.set(name, (ends.get(name) ?? 0) + 1);
  for (const lines of evidence.gathered.outcomes.values())
    for (const { outcome } of lines) if (outcome.final === true) add(outcome.state);
  const boasted = new Set(evidence.ledger.answers.flatMap(({ says, isDone, token }) => (says && !isDone ? token : [])));
  for (const line of evidence.gathered.intents.values())
    if (boasted.has(line.token) && endOf(evidence, line)?.state === "verified") add("verified, but only boasted");
  return ends;
}
