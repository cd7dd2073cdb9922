import { READ_BACK } from "./configuration.ts";
import type { Evidence } from "./evidence.ts";
import type { Oracle } from "./oracles.ts";

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

/** How actions ended, by state; and how many that are verified the plant only boasted of. */
export function endsOf(evidence: Evidence): ReadonlyMap<string, number> {
  const ends = new Map<string, number>();
  const add = (name: string): void => void ends.set(name, (ends.get(name) ?? 0) + 1);
  for (const lines of evidence.gathered.outcomes.values())
    for (const { outcome } of lines) if (outcome.final === true) add(outcome.state);
  return ends;
}
