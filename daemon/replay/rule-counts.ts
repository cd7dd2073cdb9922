import type { RulePair } from "./differ.ts";
import { RecentKeys } from "./recent-keys.ts";

/** A decision as an example, to be looked at with `holdfast explain`. */
export interface DecisionExample {
  readonly decision: string;
  readonly key: string;
  readonly at: number;
}

/** How often one rule fired, as recorded and with the candidate. */
export interface RuleCount {
  recorded: number;
  candidate: number;
  more: number;
  fewer: number;
  /** Of more and fewer: pairs of one key within ten minutes. The rule fires earlier or later. */
  moved: number;
  /** Passes, recorded or not, that the recorded ones in `more` stand for. */
  estimatedMore: number;
  readonly examples: { readonly more: DecisionExample[]; readonly fewer: DecisionExample[] };
}

const MOST_OPEN_KEYS = 10_000;
const MOVED_MS = 600_000;

interface OpenHalf {
  readonly what: "more" | "fewer";
  readonly at: number;
}

/** Counts one agent's rules. */
export class RuleCounts {
  readonly counts = new Map<string, RuleCount>();
  readonly #examples: number;
  /** By rule and key: what was last more or fewer, and has not found its other half. */
  readonly #open = new RecentKeys<OpenHalf>(MOST_OPEN_KEYS);

  constructor(examples: number) {
    this.#examples = examples;
  }

  add({ id, before, after }: RulePair, example: DecisionExample, weight: number): void {
    const count = this.of(id);
    if (before) count.recorded += 1;
    if (after) count.candidate += 1;
    if (before === after) {
      this.#open.set(`${id}\0${example.key}`, undefined);
      return;
    }
    const what = after ? "more" : "fewer";
    count[what] += 1;
    if (after) count.estimatedMore += weight;
    if (count.examples[what].length < this.#examples) count.examples[what].push(example);
    this.#match(`${id}\0${example.key}`, { what, at: example.at }, count);
  }

  of(id: string): RuleCount {
    const known = this.counts.get(id);
    if (known !== undefined) return known;
    const made = {
      recorded: 0,
      candidate: 0,
      more: 0,
      fewer: 0,
      moved: 0,
      estimatedMore: 0,
      examples: { more: [], fewer: [] },
    };
    this.counts.set(id, made);
    return made;
  }

  #match(place: string, half: OpenHalf, count: RuleCount): void {
    const open = this.#open.get(place);
    const isPair = open !== undefined && open.what !== half.what && half.at - open.at <= MOVED_MS;
    if (isPair) count.moved += 1;
    this.#open.set(place, isPair ? undefined : half);
  }
}
