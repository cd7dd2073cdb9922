import type { FieldRow, FieldValue } from "../models/field-memory.ts";
import type { JournalReading, Windows } from "../models/windows.ts";
import type { PlannedField } from "./agent-plan.ts";
import type { Clock } from "./clock.ts";
import type { Ledger } from "./ledger.ts";
import type { ReadingBlock, Restored } from "./store/messages.ts";
import type { Projection } from "./store/open-batch.ts";

interface Deps {
  readonly windows: Windows;
  readonly store: { project(change: Projection): void; room(): number };
  readonly clock: Clock;
  readonly ledger: Ledger;
}

interface Options {
  readonly agent: number;
  readonly journaled: boolean;
  readonly everyMs: number;
  /** How far behind the newest reading a window and its late readings reach. */
  readonly reachMs: number;
  readonly fields: readonly PlannedField[];
}

/** Up to where the journal was cut: what is older and came before is in the written states. */
interface JournalCut {
  readonly cutMs: number;
  readonly wallMs: number;
}

const cutName = (agent: number): string => `journalCut:${agent}`;

const CUT_AT_START_ROUNDS = 2;

/** What one round of checkpoints may write; the rest waits for the next. */
const CHECKPOINT_BYTES = 1_048_576;

/** Keeps an agent's windows over restarts: by the journal of readings, or by checkpoints of the keys that changed. */
export class WindowKeeper {
  readonly everyMs: number;
  readonly #deps: Deps;
  readonly #options: Options;
  #due = new Set<string>();
  #newestMs = Number.NEGATIVE_INFINITY;
  /** Of the readings that were replayed. */
  #oldestMs = Number.POSITIVE_INFINITY;

  constructor(deps: Deps, options: Options) {
    this.#deps = deps;
    this.#options = options;
    this.everyMs = options.everyMs;
  }

  restore(restored: Restored): void {
    const { windows, ledger, clock } = this.#deps;
    const { agent, reachMs } = this.#options;
    for (const checkpoint of restored.checkpoints) {
      if (checkpoint.agent !== agent) continue;
      if (!windows.load(checkpoint.key, checkpoint.blob)) ledger.note("windowDiscarded", clock.wallMs());
    }
    if (this.#options.journaled) {
      const text = restored.meta[cutName(agent)];
      const cut = text === undefined ? undefined : (JSON.parse(text) as JournalCut);
      for (const block of restored.readings) if (block.agent === agent) windows.replay(this.#readings(block, cut));
      // Whoever restarts more often than the journal is cut would replay more each time.
      if (this.#newestMs - this.#oldestMs > reachMs + CUT_AT_START_ROUNDS * this.everyMs) this.#cutJournal();
    }
    windows.dirtyKeys();
    windows.keysWithNews();
  }

  /** One round: the journal is cut behind the windows, or changed keys are written down. */
  tick(): void {
    if (this.#options.journaled) this.#cutJournal();
    else this.checkpoint();
  }

  /**
   * Readings that left the windows of the present go from the journal. A key that is behind (it is silent, or its clock
   * is slow) still needs older ones: these are written down as its state, in the transaction that cuts the journal.
   */
  #cutJournal(): void {
    const { windows, store, clock } = this.#deps;
    const { agent, reachMs } = this.#options;
    const cutMs = this.#newestMs - reachMs;
    if (!Number.isFinite(cutMs) || store.room() <= 0) return;
    for (const key of windows.keysNeeding(cutMs)) {
      const blob = windows.dump(key, cutMs);
      if (blob !== undefined) store.project({ kind: "windowCheckpoint", agent, key, blob });
    }
    // The journal goes in whole commits, so some older readings stay in it: the mark says which the states hold.
    const mark: JournalCut = { cutMs, wallMs: clock.wallMs() };
    store.project({ kind: "meta", name: cutName(agent), value: JSON.stringify(mark) });
    store.project({ kind: "pruneReadings", agent, beforeMs: cutMs });
  }

  /** The key was evicted; its state in the log goes with it. */
  forget(key: string): void {
    this.#due.delete(key);
  }

  /** An accepted reading went to the journal. */
  journaled(timeMs: number): void {
    if (timeMs > this.#newestMs) this.#newestMs = timeMs;
  }

  /** Writes changed keys down. True when some are left for another round. */
  checkpoint(): boolean {
    if (this.#options.journaled) return false;
    const { windows, store } = this.#deps;
    for (const key of windows.dirtyKeys()) this.#due.add(key);
    let written = 0;
    for (const key of this.#due) {
      if (written >= CHECKPOINT_BYTES || store.room() <= 0) return true;
      this.#due.delete(key);
      const blob = windows.dump(key);
      if (blob === undefined) continue;
      written += blob.length;
      store.project({ kind: "windowCheckpoint", agent: this.#options.agent, key, blob });
    }
    return false;
  }

  *#readings(block: ReadingBlock, cut: JournalCut | undefined): Generator<JournalReading> {
    const { fields } = this.#options;
    if (block.width !== fields.length) return;
    const others = new Map(block.others);
    const step = block.width + 2;
    for (const [at, key] of block.keys.entries()) {
      const timeMs = block.numbers[at * step] as number;
      const arrivalMs = block.numbers[at * step + 1] as number;
      if (timeMs < this.#oldestMs) this.#oldestMs = timeMs;
      this.journaled(timeMs);
      if (cut !== undefined && timeMs < cut.cutMs && arrivalMs <= cut.wallMs) continue;
      const values: FieldValue[] = [];
      for (let field = 0; field < block.width; field++) {
        const place = at * step + 2 + field;
        const number = block.numbers[place] as number;
        values.push(Number.isNaN(number) ? others.get(place) : number);
      }
      this.journaled(timeMs);
      yield { key, timeMs, source: this.#sourceOf(values), values };
    }
  }

  /** Events carry the fields of one source, so the first value there is tells which. */
  #sourceOf(values: FieldRow): number {
    const at = values.findIndex((value) => value !== undefined);
    return this.#options.fields[Math.max(0, at)]?.source ?? 0;
  }
}
