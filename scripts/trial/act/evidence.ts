import { readFileSync } from "node:fs";
import { PROGRAM_START_MS, programLedger } from "./configuration.ts";
import type { Gathered, IntentLine } from "./gathered.ts";
import type { Effect, LedgerLog } from "./ledger-lines.ts";
import type { Story } from "./story.ts";

/** How far from a canary an effect may lie to be judged by it. */
const NEAR_MS = 400;
/** Both clocks are read to 10 ms, and the ledger sends its canaries so far apart. */
const CLOCKS_MS = 45;

/** All that is known after a run: what reached the plant, what the daemon wrote down, what was done to it. */
export class Evidence {
  readonly ledger: LedgerLog;
  readonly gathered: Gathered;
  readonly story: Story;

  constructor(folder: string, ledger: LedgerLog, gathered: Gathered, story: Story) {
    this.ledger = { ...ledger, effects: [...ledger.effects, ...programEffects(folder)] };
    this.gathered = gathered;
    this.story = story;
  }

  /** The intents that an effect may come from: one, but for a program, which is told no key. */
  intentsOf({ via, tool, id }: Effect): readonly IntentLine[] {
    if (via === "program") return this.gathered.byToken.get(`${tool} ${id}`) ?? [];
    const found = this.gathered.intents.get(id);
    return found === undefined ? [] : [found];
  }

  /** How much later than it left an effect may have come, for a reason of its own. */
  startMs({ via }: Effect): number {
    return via === "program" ? PROGRAM_START_MS : 0;
  }

  /** How long the daemon was held between two moments. */
  heldMs(fromMs: number, untilMs: number): number {
    return this.story.held.reduce(
      (sum, span) => sum + Math.max(0, Math.min(untilMs, span.untilMs) - Math.max(fromMs, span.fromMs)),
      0,
    );
  }

  /**
   * The earliest moment at which an effect may have left: the ledger sends itself a message through the broker all the
   * time, so it is known how late things came just then.
   */
  leftAfterMs(effect: Effect): number {
    return effect.via === "program" ? effect.atMs : effect.atMs - this.lateMs(effect.atMs);
  }

  lateMs(atMs: number): number {
    const { canaries } = this.ledger;
    let low = firstAfter(canaries, atMs - NEAR_MS);
    let most = 0;
    // Where none came near, the next one that did tells.
    if ((canaries[low]?.atMs ?? 0) > atMs + NEAR_MS) return atMs - (canaries[low - 1]?.sentMs ?? 0);
    for (; (canaries[low]?.atMs ?? Number.POSITIVE_INFINITY) <= atMs + NEAR_MS; low++) {
      const { atMs: cameMs, sentMs } = canaries[low] as { atMs: number; sentMs: number };
      most = Math.max(most, cameMs - sentMs);
    }
    return most + CLOCKS_MS;
  }
}

function firstAfter(canaries: LedgerLog["canaries"], atMs: number): number {
  let low = 0;
  let high = canaries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((canaries[middle]?.atMs ?? 0) < atMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What the program wrote; the ledger's order says nothing of these. */
function programEffects(folder: string): Effect[] {
  let text = "";
  try {
    text = readFileSync(programLedger(folder), "latin1");
  } catch {
    // It never ran.
  }
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [up, key = "", token = ""] = line.split(" ");
      return { seq: 0, atMs: Number(up) * 1000, via: "program" as const, tool: "press", key, id: token };
    });
}
