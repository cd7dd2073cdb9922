import type { Problem } from "../../config/problems.ts";
import type { InputRow } from "../../models/inference.ts";
import { ActionCounts } from "./action-counts.ts";
import { AgentCounts, exampleOf } from "./agent-counts.ts";
import { AgentReplay, type CandidateAnswer } from "./agent-replay.ts";
import { type BuiltSide, type Candidate, type CandidateModel, candidateSide, type Tried } from "./candidate.ts";
import type { Tracks } from "./candidate-rules.ts";
import type { LoggedPage, LoggedPass, PersonsAction } from "./logged-passes.ts";
import { ModelCounts } from "./model-counts.ts";
import { personsPair } from "./peoples-actions.ts";
import { RecentKeys } from "./recent-keys.ts";
import type { RecordedAgent, RecordedAgents } from "./recorded-agents.ts";
import { Timeline } from "./timeline.ts";

const MOST_KEYS = 10_000;
const DECISIONS = 1;

interface Prepared {
  readonly recorded: Extract<RecordedAgent, { ok: true }>;
  readonly replay: AgentReplay;
  readonly model: CandidateModel | undefined;
}

/** A candidate over recorded decisions, page by page. */
export class Replay {
  readonly actions: ActionCounts;
  readonly agents = new Map<string, AgentCounts>();
  readonly models = new Map<string, ModelCounts>();
  /** Decisions of arms that did not act. */
  otherArms = 0;
  /** Actions whose decision lies outside of the time that is replayed. */
  otherActions = 0;
  from = Number.POSITIVE_INFINITY;
  to = Number.NEGATIVE_INFINITY;
  readonly #recorded: RecordedAgents;
  readonly #candidate: Candidate;
  readonly #examples: number;
  readonly #agentsWanted: ReadonlySet<string> | undefined;
  readonly #prepared = new Map<RecordedAgent, Prepared | string>();
  readonly #tracks = new Map<string, Tracks>();
  readonly #timeline = new Timeline();
  #newest: AgentReplay | undefined;

  /** `agents`: only these. */
  constructor(
    recorded: RecordedAgents,
    candidate: Candidate,
    options: { readonly examples: number; readonly agents: ReadonlySet<string> | undefined },
  ) {
    this.#recorded = recorded;
    this.#candidate = candidate;
    this.#examples = options.examples;
    this.#agentsWanted = options.agents;
    this.actions = new ActionCounts(options.examples);
  }

  get decisions(): number {
    return [...this.agents.values()].reduce((sum, one) => sum + one.decisions, 0);
  }

  get changed(): number {
    return [...this.agents.values()].reduce((sum, one) => sum + one.changed, 0);
  }

  /**
   * Looks at an agent of the newest generation before anything else: mistakes of the candidate go to `problems`, and
   * what the record is not enough for is refused as a whole.
   */
  prepare(agent: string, recorded: RecordedAgent, problems: Problem[]): void {
    if (!recorded.ok) return;
    const built = candidateSide(recorded, this.#candidate, problems);
    if (this.#agentsWanted?.has(agent) === false) return;
    const counts = this.#countsOf(agent);
    if (built.ok) this.#keep(recorded, built, counts);
    else for (const reason of built.reasons) counts.refused.add(reason);
  }

  async take(page: LoggedPage): Promise<void> {
    const wanted = page.passes.filter((pass) => this.#isWanted(pass));
    const answers = await this.#answers(wanted);
    for (const pass of wanted) this.#pass(pass, answers.get(pass));
    for (const [agent, passes] of page.counted) {
      const counts = this.agents.get(agent);
      if (counts !== undefined) counts.counted += passes;
    }
    this.otherActions += page.others;
    for (const action of page.byPeople) this.#byPerson(action);
  }

  /** Only a policy is asked about what people propose. */
  #byPerson(one: PersonsAction): void {
    if (this.#newest === undefined || this.#agentsWanted !== undefined || this.#candidate.files?.hasPolicy !== true)
      return;
    const { id, key } = one.action;
    this.actions.add(personsPair(one, this.#newest.law), one.action.agent, { decision: id, key, at: one.wallMs });
  }

  /** What could not be tried at all, when the log is at its end. */
  finish(): void {
    for (const name of this.#candidate.files?.agents ?? []) {
      if (this.#agentsWanted?.has(name) === false) continue;
      const { decisions, refused, left, notes } = this.#countsOf(name);
      if (decisions + refused.size + left.size === 0)
        notes.add("no decision of it was recorded in this time: replay can not tell what it would do");
    }
  }

  #isWanted({ decision }: LoggedPass): boolean {
    if (this.#agentsWanted !== undefined && !this.#agentsWanted.has(decision.agent)) return false;
    if (decision.arm === "incumbent") return true;
    this.otherArms += 1;
    return false;
  }

  #pass(pass: LoggedPass, tried: CandidateAnswer): void {
    const { decision } = pass;
    const nowMs = this.#timeline.at(pass.epoch, decision.clock.bootMs, decision.decidedAt);
    const counts = this.#countsOf(decision.agent);
    if (counts.refused.size > 0) return;
    const prepared = this.#preparedFor(pass, counts);
    const unknown = typeof prepared === "string" ? prepared : prepared.replay.cannotTell(decision);
    if (typeof prepared === "string" || unknown !== undefined) {
      counts.leave(unknown ?? "");
      return;
    }
    this.#newest = prepared.replay;
    const weight = counts.seen(decision);
    this.from = Math.min(this.from, decision.decidedAt);
    this.to = Math.max(this.to, decision.decidedAt);
    const tracks = this.#tracksOf(decision.agent);
    const recordedPass = { decision, isNews: pass.stream === DECISIONS, actions: pass.actions, nowMs };
    const difference = prepared.replay.replay(recordedPass, tried, tracks);
    counts.evicted = tracks.evicted;
    if (difference.isChanged) counts.changed += 1;
    this.actions.unworkable += difference.failures.length;
    const example = exampleOf(decision);
    for (const rule of difference.rules) counts.rules.add(rule, example, weight);
    for (const pair of difference.actions) this.actions.add(pair, decision.agent, example);
  }

  /** What the candidate's models say of the page's decisions. */
  async #answers(passes: readonly LoggedPass[]): Promise<ReadonlyMap<LoggedPass, CandidateAnswer>> {
    const found = new Map<LoggedPass, CandidateAnswer>();
    if (this.#candidate.models.size === 0) return found;
    const byModel = new Map<CandidateModel, LoggedPass[]>();
    for (const pass of passes) {
      const model = this.#modelFor(pass);
      if (model !== undefined) byModel.set(model, [...(byModel.get(model) ?? []), pass]);
    }
    for (const [model, asked] of byModel) {
      const answers = await model.answers(asked.map(({ decision }) => rowOf(model, decision.inputs)));
      const counts = this.#modelCounts(model);
      for (const [at, pass] of asked.entries())
        found.set(pass, { answer: counts.add(pass.decision, answers[at] as Tried) });
    }
    return found;
  }

  #modelFor(pass: LoggedPass): CandidateModel | undefined {
    const { source, agent } = pass.decision;
    if (source === "fallback" || source === "silence") return undefined;
    const counts = this.#countsOf(agent);
    if (counts.refused.size > 0) return undefined;
    const prepared = this.#preparedFor(pass, counts);
    return typeof prepared === "string" ? undefined : prepared.model;
  }

  #preparedFor({ decision, epoch }: LoggedPass, counts: AgentCounts): Prepared | string {
    const recorded = this.#recorded.of(decision, epoch);
    if (!recorded.ok) return recorded.reason;
    const known = this.#prepared.get(recorded);
    if (known !== undefined) return known;
    // Mistakes that only an older generation shows are a limit of the record: the newest one was looked at before.
    const problems: Problem[] = [];
    const built = candidateSide(recorded, this.#candidate, problems);
    if (built.ok && problems.length === 0) return this.#keep(recorded, built, counts);
    const reason = built.ok ? undefined : built.reasons[0];
    const text = `generation ${decision.generation}: ${reason ?? problems[0]?.message ?? "it does not fit the candidate"}`;
    this.#prepared.set(recorded, text);
    return text;
  }

  #keep(
    recorded: Prepared["recorded"],
    { side, model, notes }: Extract<BuiltSide, { ok: true }>,
    counts: AgentCounts,
  ): Prepared {
    const prepared = { recorded, replay: new AgentReplay(recorded.side, side), model };
    this.#prepared.set(recorded, prepared);
    counts.compareRules(recorded.past.plan.config, side.plan.config);
    for (const note of notes) counts.notes.add(note);
    return prepared;
  }

  #countsOf(agent: string): AgentCounts {
    const known = this.agents.get(agent) ?? new AgentCounts(agent, this.#examples);
    this.agents.set(agent, known);
    return known;
  }

  #tracksOf(agent: string): Tracks {
    const known = this.#tracks.get(agent) ?? new RecentKeys(MOST_KEYS);
    this.#tracks.set(agent, known);
    return known;
  }

  #modelCounts(model: CandidateModel): ModelCounts {
    const { name, version } = model.manifest;
    const known = this.models.get(`${name} ${version}`) ?? new ModelCounts(model);
    this.models.set(`${name} ${version}`, known);
    return known;
  }
}

function rowOf({ manifest }: CandidateModel, inputs: Readonly<Record<string, unknown>>): InputRow {
  return manifest.inputs.flatMap((input) => input.features.map(({ name }) => inputs[name])) as InputRow;
}
