import { executeWithinMs, NOTIFY } from "./configuration.ts";
import type { Evidence } from "./evidence.ts";
import type { Effect } from "./ledger-lines.ts";
import { type Oracle, told } from "./oracles.ts";
import type { Span } from "./story.ts";

const CLOCK_MS = 20;

/** A process that is held between the last look and the write goes on with the write. */
function wasHeld(evidence: Evidence, leftMs: number): boolean {
  return evidence.story.held.some(
    ({ fromMs, untilMs }) => leftMs >= fromMs && leftMs <= untilMs + evidence.lateMs(untilMs),
  );
}

/** Even if it left as early as it can have, that was too late: such a one must not be. */
export const inTime: Oracle = (evidence) => {
  const violations: string[] = [];
  let held = 0;
  for (const effect of evidence.ledger.effects) {
    const intents = evidence.intentsOf(effect);
    if (intents.length === 0) continue;
    const latestMs = Math.max(...intents.map(({ intent }) => intent.executeBefore.bootMs));
    const leftMs = evidence.leftAfterMs(effect) - evidence.startMs(effect);
    if (leftMs <= latestMs + CLOCK_MS) continue;
    if (wasHeld(evidence, leftMs)) held += 1;
    else
      violations.push(
        `${told(effect)} left at least ${Math.round(leftMs - latestMs)} ms after its time (of ${executeWithinMs(effect.tool)})`,
      );
  }
  const sentence = `Nothing leaves after its execute-before${held > 0 ? ` (${held} while the daemon was held)` : ""}.`;
  return { oracle: "inTime", sentence, looked: evidence.ledger.effects.length, violations };
};

/** From when a stop returned until its release, nothing comes that was not on its way already. */
export const latched: Oracle = (evidence) => {
  const violations: string[] = [];
  let looked = 0;
  for (const span of evidence.story.latched) {
    looked += 1;
    for (const effect of evidence.ledger.effects) {
      if (NOTIFY.has(effect.tool) || effect.atMs > span.untilMs) continue;
      const isAfter = effect.via === "program" ? effect.atMs > span.fromMs + CLOCK_MS : effect.seq > span.fromSeq;
      if (isAfter) violations.push(`${told(effect)} came while latched by the ${span.how}`);
    }
  }
  return { oracle: "latched", sentence: "Nothing leaves while latched.", looked, violations };
};

/** What a person switched off, or forbade by the mode, does not leave. */
export const switched: Oracle = (evidence) => {
  const { off, idle } = evidence.story;
  const during = (effect: Effect, { fromMs, untilMs }: Span): boolean => {
    const leftMs = evidence.leftAfterMs(effect) - evidence.startMs(effect);
    return leftMs > fromMs + CLOCK_MS && effect.atMs < untilMs && !wasHeld(evidence, leftMs);
  };
  const violations = evidence.ledger.effects.flatMap((effect) => {
    const isOff = off.some((span) => span.tool === effect.tool && during(effect, span));
    // In mode approve what leads to the safe state needs no yes.
    const isIdle = idle.some(
      (span) =>
        !NOTIFY.has(effect.tool) && !(span.mode === "approve" && effect.tool === "vent") && during(effect, span),
    );
    return isOff || isIdle ? [`${told(effect)} came while it was switched off`] : [];
  });
  const sentence = "Nothing leaves that a switch or a mode keeps back.";
  return { oracle: "switched", sentence, looked: off.length + idle.length, violations };
};

/** Starts after which what the log says of open actions can not be relied on. */
const BREAKS = new Set(["moved", "restored", "recovered", "truncated"]);

/** What was intended before the log broke off is not sent any more, whatever the tool. */
export const unbroken: Oracle = (evidence) => {
  const breaks = [...evidence.gathered.epochs.values()].filter(({ reason }) => BREAKS.has(reason));
  const violations = evidence.ledger.effects.flatMap((effect) => {
    const epochs = evidence.intentsOf(effect).map(({ epoch }) => epoch);
    if (epochs.length === 0) return [];
    const leftMs = evidence.leftAfterMs(effect) - evidence.startMs(effect);
    const broken = breaks.find(({ ordinal, startedBootMs }) => Math.max(...epochs) < ordinal && leftMs > startedBootMs);
    return broken === undefined ? [] : [`${told(effect)} left after the log had broken off (${broken.reason})`];
  });
  const sentence = "Nothing is sent that was intended before the log broke off.";
  return { oracle: "unbroken", sentence, looked: breaks.length, violations };
};
