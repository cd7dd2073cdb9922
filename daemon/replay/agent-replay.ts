import type { Answer } from "../../models/inference.ts";
import type { Decision } from "../../sync/records.ts";
import type { Proposed } from "../act/action.ts";
import type { AgentPlan } from "../agent-plan.ts";
import type { CompiledAgent } from "../check.ts";
import { seenBy } from "../explain.ts";
import type { Declarations, PassValues, StateValues } from "../expression-names.ts";
import { readsOf } from "../rules.ts";
import { CandidateRules, type Tracks } from "./candidate-rules.ts";
import { type Difference, differ } from "./differ.ts";
import { contextOf, type Law, type RecordedAction } from "./judging.ts";
import { ofRules, withoutAnswer } from "./rule-actions.ts";

/** An agent with the policy and the tools around it: as it was, or as the candidate has it. */
export interface AgentSide {
  readonly plan: AgentPlan;
  readonly compiled: CompiledAgent;
  readonly declarations: Declarations;
  readonly law: Law;
}

export interface CandidateSide extends AgentSide {
  /** Its rules are asked anew: they, or the answers that they see, are not those of the record. */
  readonly isAskedAnew: boolean;
  readonly isJudgedAnew: boolean;
}

/** A decision with what the log says of its actions. */
export interface RecordedPass {
  readonly decision: Decision;
  /** It was news: a rule fired, or a fallback or a silence began or ended. */
  readonly isNews: boolean;
  readonly actions: readonly RecordedAction[];
  /** On the replay's clock. */
  readonly nowMs: number;
}

/** What the model of the candidate says: an answer, or none. Undefined where no model is tried. */
export type CandidateAnswer = { readonly answer: Answer | undefined } | undefined;

/** One agent of one recorded generation against the candidate. */
export class AgentReplay {
  readonly #recorded: AgentSide;
  readonly #candidate: CandidateSide;
  readonly #rules: CandidateRules;
  readonly #hides: boolean;
  readonly #needsFields: boolean;

  constructor(recorded: AgentSide, candidate: CandidateSide) {
    this.#recorded = recorded;
    this.#candidate = candidate;
    this.#rules = new CandidateRules(candidate.compiled, recorded.compiled);
    this.#hides = recorded.plan.fields.some((field) => field.isPrivate);
    const reads = candidate.compiled.rules.flatMap((rule) => [...readsOf(rule)]);
    this.#needsFields = candidate.isAskedAnew && reads.some((name) => name.startsWith("event.fields"));
  }

  /** What the candidate's agent has around it. */
  get law(): { readonly before: Law; readonly after: Law } {
    return { before: this.#recorded.law, after: this.#candidate.law };
  }

  /** Why the candidate can not be asked about this decision, if that is so. */
  cannotTell(decision: Decision): string | undefined {
    const isThere = decision.fields !== undefined || this.#recorded.plan.features === undefined;
    if (isThere || !this.#needsFields || decision.rules.length === 0) return undefined;
    return "a rule of the candidate reads event.fields, which are written down only where a rule read them then";
  }

  replay(pass: RecordedPass, tried: CandidateAnswer, tracks: Tracks): Difference {
    const { decision } = pass;
    const { source } = decision;
    if (source === "fallback" || source === "silence") return this.#edge(pass);
    const before = firedThen(decision);
    const after = this.#firedNow(pass, tried, tracks, before);
    if (before.size === 0 && after.size === 0 && pass.actions.length === 0) return NOTHING;
    const seen = { before: passOf(decision, this.#recorded), after: passOf(decision, this.#candidate) };
    const { decidedAt } = decision;
    const recordedAnswer = answerOf(decision);
    return this.#differ(
      pass,
      { before: new Set(before.keys()), after: new Set(after.keys()) },
      ofRules(this.#recorded.compiled, before, seen.before, recordedAnswer, decidedAt),
      ofRules(
        this.#candidate.compiled,
        after,
        seen.after,
        tried === undefined ? recordedAnswer : tried.answer,
        decidedAt,
      ),
      tried,
    );
  }

  #firedNow(
    { decision, nowMs }: RecordedPass,
    tried: CandidateAnswer,
    tracks: Tracks,
    before: ReadonlyMap<string, StateValues>,
  ): ReadonlyMap<string, StateValues> {
    const { isAskedAnew, plan } = this.#candidate;
    if (!plan.config.enabled) return NONE;
    if (!isAskedAnew) return before;
    // Without an answer no rule is asked, and what rules remember stays.
    if (tried !== undefined && tried.answer === undefined) return NONE;
    const answer = tried?.answer ?? answerOf(decision);
    return this.#rules.step(decision, passOf(decision, this.#candidate), answer, tracks, nowMs);
  }

  /** A decision without rules: what was configured for having no answer, or for a key that fell silent. */
  #edge(pass: RecordedPass): Difference {
    const { decision, isNews } = pass;
    const isSilence = decision.source === "silence";
    const begins = isNews && (!isSilence || decision.reason?.startsWith("silent") === true);
    if (!begins && pass.actions.length === 0) return NOTHING;
    const why = isSilence ? "silence" : "fallback";
    const of = (side: AgentSide): Proposed[] =>
      begins && side.plan.config.enabled
        ? withoutAnswer(side.compiled, why, passOf(decision, side), decision.decidedAt)
        : [];
    const none = { before: new Set<string>(), after: new Set<string>() };
    return this.#differ(pass, none, of(this.#recorded), of(this.#candidate), undefined);
  }

  #differ(
    { decision, actions: recorded }: RecordedPass,
    fired: { readonly before: ReadonlySet<string>; readonly after: ReadonlySet<string> },
    before: readonly Proposed[],
    after: readonly Proposed[],
    tried: CandidateAnswer,
  ): Difference {
    const context = contextOf(decision, this.#recorded.plan.features !== undefined);
    const proposer = { agent: decision.agent, by: "" };
    const question = { proposer, context, nowMs: decision.decidedAt, hidesReasons: this.#hides };
    const answered = { ...question, context: { ...context, answer: tried?.answer ?? {} } };
    return differ({
      question: { before: question, after: tried === undefined ? question : answered },
      fired,
      before: { actions: before, law: this.#recorded.law },
      after: { actions: after, law: this.#candidate.law },
      isJudgedAnew: this.#candidate.isJudgedAnew || tried !== undefined,
      recorded,
    });
  }
}

const NONE: ReadonlyMap<string, StateValues> = new Map();
const NOTHING: Difference = { rules: [], actions: [], failures: [], isChanged: false };

function firedThen(decision: Decision): ReadonlyMap<string, StateValues> {
  const fired = decision.rules.filter((rule) => rule.fired);
  if (fired.length === 0) return NONE;
  const line = decision as Parameters<typeof seenBy>[1];
  return new Map(fired.map(({ id }) => [id, seenBy(id, line, NO_NAMES).state]));
}

function passOf(decision: Decision, { declarations }: AgentSide): PassValues {
  return seenBy("", decision as Parameters<typeof seenBy>[1], declarations).pass;
}

function answerOf(decision: Decision): Answer | undefined {
  return decision.answer as Answer | undefined;
}

const NO_NAMES: Declarations = {
  fields: [],
  features: [],
  answer: [],
  windowed: false,
  device: { name: "", labels: {} },
};
