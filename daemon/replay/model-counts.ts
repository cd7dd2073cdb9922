import type { Answer } from "../../models/inference.ts";
import { answerDifference } from "../../models/tolerance.ts";
import type { Decision } from "../../sync/records.ts";
import type { CandidateModel, Tried } from "./candidate.ts";
import { Spread } from "./spread.ts";

interface OutputCount {
  readonly differences: Spread;
  /** Texts and truth values that are not the recorded ones. */
  other: number;
}

/** What a candidate model answered, against what was recorded. */
export class ModelCounts {
  readonly model: CandidateModel;
  readonly agents = new Set<string>();
  readonly replaced = new Set<string>();
  readonly outputs = new Map<string, OutputCount>();
  /** Rows without an answer, by reason. */
  readonly noAnswer = new Map<string, number>();
  rows = 0;

  constructor(model: CandidateModel) {
    this.model = model;
  }

  /**
   * Counts one answer and gives back the one that rules are to see. The same file run again in another batch may differ
   * in its last bits: within its own tolerance it said what it had said.
   */
  add(decision: Decision, tried: Tried): Answer | undefined {
    this.rows += 1;
    this.agents.add(decision.agent);
    if (decision.model !== undefined) this.replaced.add(`${decision.model.name} ${decision.model.version}`);
    if (tried.answer === undefined) {
      this.noAnswer.set(tried.reason, (this.noAnswer.get(tried.reason) ?? 0) + 1);
      return undefined;
    }
    const { answer } = tried;
    const recorded = decision.answer as Answer | undefined;
    if (recorded === undefined) return answer;
    const isAgain =
      this.#isSameFile(decision) && answerDifference(recorded, answer, this.model.manifest.tolerance) === undefined;
    const seen = isAgain ? recorded : answer;
    for (const { name } of this.model.manifest.outputs) this.#output(name, recorded[name], seen[name]);
    return seen;
  }

  #isSameFile({ model }: Decision): boolean {
    const digest = this.model.manifest.digest.replace("sha256:", "");
    const then = model?.digest.replace("sha256:", "");
    return then !== undefined && digest.startsWith(then);
  }

  #output(name: string, recorded: unknown, candidate: unknown): void {
    if (recorded === undefined || candidate === undefined) return;
    const count = this.outputs.get(name) ?? { differences: new Spread(), other: 0 };
    this.outputs.set(name, count);
    const difference = differenceOf(recorded, candidate);
    if (difference !== undefined) count.differences.add(difference);
    else if (recorded !== candidate) count.other += 1;
  }
}

function differenceOf(recorded: unknown, candidate: unknown): number | undefined {
  if (typeof recorded === "number" && typeof candidate === "number") return Math.abs(recorded - candidate);
  if (!Array.isArray(recorded) || !Array.isArray(candidate) || recorded.length !== candidate.length) return undefined;
  return recorded.reduce<number>(
    (most, value, at) => Math.max(most, Math.abs(Number(value) - Number(candidate[at]))),
    0,
  );
}
