import { RULES } from "./configuration.ts";
import type { Evidence } from "./evidence.ts";
import type { Effect } from "./ledger-lines.ts";
import { type Finding, type Oracle, told } from "./oracles.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** How long the daemon may take to hear a reading that has come: its age counts from then. */
const HEARD_MS = 500;

/** Effects of one tool in the order in which they came, with the earliest moment at which each may have left. */
function effectsOf(evidence: Evidence, tool: string): (Effect & { readonly leftMs: number })[] {
  return evidence.ledger.effects
    .filter((effect) => effect.tool === tool)
    .map((effect) => ({ ...effect, leftMs: evidence.leftAfterMs(effect) }))
    .sort((a, b) => a.atMs - b.atMs);
}

/** Starts after which the log was an older one: an hour's count is then what that one knew. */
function wentBack(evidence: Evidence, fromMs: number, untilMs: number): boolean {
  return [...evidence.gathered.epochs.values()].some(
    ({ reason, startedBootMs }) =>
      (reason === "restored" || reason === "truncated" || reason === "recovered") &&
      startedBootMs >= fromMs &&
      startedBootMs <= untilMs,
  );
}

/** No window, wherever it begins, has more than the limit. Only what certainly left within it counts. */
export const withinLimits: Oracle = (evidence) => {
  const { perMinute, perTargetPerHour, minimumSeconds } = RULES.limited;
  const effects = effectsOf(evidence, "limited");
  const violations: string[] = [];
  for (const [at, first] of effects.entries()) {
    const later = effects.slice(at);
    const inMinute = later.filter((one) => one.atMs < first.leftMs + MINUTE_MS);
    if (inMinute.length > perMinute)
      violations.push(`${inMinute.length} in the minute that begins with ${told(first)}`);
    const ofTarget = later.filter((one) => one.key === first.key);
    const inHour = ofTarget.filter((one) => one.atMs < first.leftMs + HOUR_MS);
    if (inHour.length > perTargetPerHour && !wentBack(evidence, first.leftMs, inHour.at(-1)?.atMs ?? 0))
      violations.push(`${inHour.length} of one target in the hour that begins with ${told(first)}`);
    const next = ofTarget[1];
    // As far apart as they can have been: the first as early, the next as late as may be.
    if (next !== undefined && next.atMs - first.leftMs < minimumSeconds * 1000)
      violations.push(`${told(next)} came ${Math.round(next.atMs - first.atMs)} ms after ${told(first)}`);
  }
  return finding("withinLimits", "Nothing passes its limits, over restarts too.", effects.length, violations);
};

/** Two targets of a group: the second leaves only when the first is over, and its time after that. */
export const exclusive: Oracle = (evidence) => {
  const effects = effectsOf(evidence, "turn");
  const violations: string[] = [];
  for (const [at, first] of effects.entries()) {
    const next = effects[at + 1];
    if (next === undefined || next.key === first.key) continue;
    if (next.atMs - first.leftMs < RULES.turn.holdSeconds * 1000)
      violations.push(`${told(next)} came while ${told(first)} held`);
  }
  return finding("exclusive", "Never two targets of a group together.", effects.length, violations);
};

/**
 * An effect that needs a reading has one that says yes, and is fresh. The daemon counts a reading's age from when it heard
 * of it: what passes only because of that is told in the sentence, since to the plant it was older than it may be.
 */
export const interlocked: Oracle = (evidence) => {
  const effects = effectsOf(evidence, "guarded");
  const { maxAgeSeconds, mostBar } = RULES.guarded;
  const hasReading = ({ key, leftMs, atMs }: (typeof effects)[number], allowMs: (sentMs: number) => number): boolean =>
    evidence.ledger.pressures.some(
      (one) =>
        one.key === key &&
        one.bar < mostBar &&
        one.atMs <= atMs &&
        leftMs - one.atMs <= maxAgeSeconds * 1000 + evidence.lateMs(one.atMs) + allowMs(one.atMs),
    );
  const older = effects.filter((effect) => !hasReading(effect, () => 0));
  const violations = older
    .filter((effect) => !hasReading(effect, (sentMs) => HEARD_MS + evidence.heldMs(sentMs, effect.atMs)))
    .map((effect) => `${told(effect)} without a fresh reading that says yes`);
  const excused = older.length - violations.length;
  const sentence = `An interlock's reading says yes and is fresh${excused > 0 ? ` (${excused} only from when it was heard)` : ""}.`;
  return finding("interlocked", sentence, effects.length, violations);
};

function finding(oracle: string, sentence: string, looked: number, violations: readonly string[]): Finding {
  return { oracle, sentence, looked, violations };
}
