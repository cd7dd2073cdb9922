import type { Answer, InferResult, InputRow } from "../models/inference.ts";
import type { Proposed } from "./act/action.ts";
import type { Origin } from "./act/proposer.ts";
import { type DecisionForm, type DecisionLine, decisionWriter, type RuleLine } from "./body.ts";
import type { Clock } from "./clock.ts";
import type { Delivery } from "./delivery.ts";
import type { PassValues } from "./expression-names.ts";
import type { PolicyContext } from "./guard.ts";
import type { Histogram } from "./histogram.ts";
import type { Ledger } from "./ledger.ts";
import type { Pass } from "./pass.ts";
import type { Silence, SilenceEdge } from "./silence.ts";
import type { NewRecord } from "./store/open-batch.ts";

/** What the rules of an agent say of one pass. */
export interface RuleVerdict {
  readonly rules: readonly RuleLine[];
  readonly fired: boolean;
  /** State of the rules before the pass, as JSON; empty when there is none. */
  readonly stateBefore: string;
  /** Something changed that a person may want to see although nothing fired. */
  readonly changed: boolean;
  /** What the rules that fired want done. */
  readonly proposed: readonly Proposed[] | undefined;
}

export interface AgentRules {
  evaluate(pass: Pass, answer: NonNullable<DecisionLine["answer"]>, nowMs: number): RuleVerdict;
  /** The edge of "no answer": true when it begins with this pass. */
  fallbackBegins(key: string): boolean;
  fallbackEnds(key: string): boolean;
  /** What is proposed where there is no answer. */
  withoutAnswer(why: "fallback" | "silence", seen: PassValues, nowMs: number): readonly Proposed[];
}

export interface LogSink {
  append(record: NewRecord): void;
  appendTogether(records: readonly NewRecord[]): void;
  commitNow(): void;
  onDurable(callback: () => void): void;
}

/** Judges what decisions propose; see act/acting.ts. */
export interface Proposals {
  propose(
    origin: Origin,
    proposed: readonly Proposed[],
  ): { readonly records: readonly NewRecord[]; readonly durable: () => void } | undefined;
}

export interface RecorderDeps {
  readonly clock: Clock;
  readonly log: LogSink;
  readonly rules: AgentRules;
  readonly ledger: Ledger;
  readonly newId: (wallMs: number) => string;
  readonly random: () => number;
  readonly silence: Silence | undefined;
  /** Keeps whether a key is silent, in the transaction of the record that says so. */
  readonly keepSilence: (key: string, isSilent: boolean) => void;
  /** Undefined: nothing acts here. */
  readonly proposals: Proposals | undefined;
}

export interface RecorderOptions {
  readonly form: DecisionForm;
  readonly agentNumber: number;
  readonly quiet: "all" | "changes" | "sample";
  readonly probability: number;
  /** Decisions of safety and action agents do not wait to be written together. */
  readonly prompt: boolean;
  readonly latency: Histogram;
  /** Names of the agent's fields, in the order of its rows. */
  readonly fields: readonly string[];
  readonly hasFeatures: boolean;
}

const DECISIONS = 1;
const QUIET = 2;
const NO_RULES: readonly RuleLine[] = [];
const EMPTY_VERDICT: RuleVerdict = {
  rules: NO_RULES,
  fired: false,
  stateBefore: "",
  changed: false,
  proposed: undefined,
};

/** Turns answers into decisions, and decisions into lines of the log: all of them counted, the quiet ones as configured. */
export class Recorder {
  readonly #deps: RecorderDeps;
  readonly #options: RecorderOptions;
  readonly #text: (line: DecisionLine) => string;

  constructor(deps: RecorderDeps, options: RecorderOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#text = decisionWriter(options.form);
  }

  /** The end of a pass. */
  decide(pass: Pass, result: InferResult): void {
    const { clock, rules, ledger } = this.#deps;
    const startedMs = performance.now();
    const nowMs = clock.wallMs();
    if (!result.ok) {
      this.#fallbackPass(
        pass,
        result.detail === undefined ? result.reason : `${result.reason}: ${result.detail}`,
        nowMs,
      );
      return;
    }
    const verdict = rules.evaluate(pass, result.answer, nowMs);
    const ends = rules.fallbackEnds(pass.key);
    const source = this.#options.form.model === undefined ? "none" : "answer";
    if (verdict.fired) for (const rule of verdict.rules) if (rule.fired) ledger.note(`fired:${rule.id}`, nowMs);
    ledger.decided(nowMs, verdict.fired ? "fired" : "quiet");
    const reason = ends ? "fallback ends" : undefined;
    const isNews = verdict.fired || ends;
    const probability = isNews ? 1 : this.#chance(verdict.changed);
    if (probability > 0) {
      this.#append(
        pass,
        { verdict, source, reason, probability, nowMs, startedMs, result },
        isNews ? DECISIONS : QUIET,
      );
    }
    this.#options.latency.add(nowMs - pass.receivedMs);
  }

  /** An accepted delivery: a key that had been silent speaks again. */
  heard(key: string, delivery: Delivery): void {
    const { silence, keepSilence } = this.#deps;
    if (silence === undefined) return;
    const { edge, isNew } = silence.heard(key, delivery.receivedBootMs);
    if (edge !== undefined) this.#silenceEdge(edge, delivery.receivedMs);
    else if (isNew) keepSilence(key, false);
  }

  /** Looks for keys that fell silent; called each second. */
  watchSilence(): void {
    const { silence, clock } = this.#deps;
    for (const edge of silence?.check(clock.bootMs()) ?? []) this.#silenceEdge(edge, clock.wallMs());
  }

  #silenceEdge(edge: SilenceEdge, nowMs: number): void {
    const seconds = Math.round(edge.silentMs / 1000);
    this.#deps.ledger.note(edge.isSilent ? "silenceBegins" : "silenceEnds", nowMs);
    this.#deps.keepSilence(edge.key, edge.isSilent);
    const words = edge.isSilent ? `silent for ${seconds} s` : `heard again after ${seconds} s`;
    this.#edge(edge.key, "silence", words, nowMs, undefined, edge.isSilent);
  }

  /** A fallback without a pass: the delivery was shed before it could open one. */
  fallback(delivery: Delivery, reason: string): void {
    const nowMs = this.#deps.clock.wallMs();
    if (!this.#deps.rules.fallbackBegins(delivery.key)) return;
    this.#deps.ledger.note("fallbackBegins", nowMs);
    this.#edge(delivery.key, "fallback", reason, nowMs, delivery, true);
  }

  /** A decision that no pass opened: a key falls silent or speaks again, a fallback begins at the door. */
  #edge(
    key: string,
    source: "fallback" | "silence",
    reason: string,
    nowMs: number,
    delivery: Delivery | undefined,
    begins: boolean,
  ): void {
    const { clock, newId, rules } = this.#deps;
    const id = newId(nowMs);
    const body = this.#text({
      id,
      key,
      eventId: delivery?.eventId,
      eventTimeMs: delivery?.eventTimeMs ?? nowMs,
      receivedMs: delivery?.receivedMs ?? nowMs,
      decidedMs: nowMs,
      bootMs: Math.round(clock.bootMs()),
      trust: clock.trust(),
      inputs: [],
      fields: undefined,
      queries: undefined,
      coverage: 0,
      windowCount: 0,
      state: "",
      answer: undefined,
      rules: NO_RULES,
      source,
      reason,
      probability: 1,
      trace: delivery?.trace,
      batch: 1,
      queueUs: 0,
      inferUs: 0,
      decideUs: 0,
    });
    const seen = seenAtEdge(key, nowMs, delivery);
    const proposed = begins ? rules.withoutAnswer(source, seen, nowMs) : [];
    const line = {
      stream: DECISIONS,
      kind: "decision",
      agent: this.#options.agentNumber,
      id,
      wallMs: nowMs,
      body,
    } as const;
    this.#write(line, proposed, seen, undefined, delivery?.trace);
  }

  #fallbackPass(pass: Pass, reason: string, nowMs: number): void {
    const { rules, ledger } = this.#deps;
    const begins = rules.fallbackBegins(pass.key);
    ledger.decided(nowMs, "fallback");
    ledger.note(`fallback:${reason.split(":", 1)[0]}`, nowMs);
    const probability = begins ? 1 : this.#chance(false);
    if (probability === 0) return;
    const failed: InferResult = { ok: true, answer: {}, batch: 1, queueUs: 0, inferUs: 0 };
    const proposed = begins ? rules.withoutAnswer("fallback", pass, nowMs) : undefined;
    this.#append(
      pass,
      {
        verdict: { ...EMPTY_VERDICT, proposed },
        source: "fallback",
        reason,
        probability,
        nowMs,
        startedMs: performance.now(),
        result: failed,
      },
      begins ? DECISIONS : QUIET,
    );
  }

  /** The probability with which this quiet pass is written down: 0 when the dice said no. */
  #chance(changed: boolean): number {
    const { quiet, probability } = this.#options;
    if (quiet === "all") return 1;
    if (quiet === "changes") return changed ? 1 : 0;
    return this.#deps.random() < probability ? probability : 0;
  }

  #append(pass: Pass, made: Made, stream: 1 | 2): void {
    const { clock, newId } = this.#deps;
    const { nowMs, result, verdict } = made;
    const id = newId(nowMs);
    const body = this.#text({
      id,
      key: pass.key,
      eventId: pass.eventId,
      eventTimeMs: pass.eventTimeMs,
      receivedMs: pass.receivedMs,
      decidedMs: nowMs,
      bootMs: Math.round(clock.bootMs()),
      trust: clock.trust(),
      inputs: pass.row,
      fields: pass.fields,
      queries: pass.queriesText,
      coverage: pass.coverage,
      windowCount: pass.windowCount,
      state: verdict.stateBefore,
      answer: made.source === "answer" ? result.answer : undefined,
      rules: verdict.rules,
      source: made.source,
      reason: made.reason,
      probability: made.probability,
      trace: pass.trace,
      batch: result.batch,
      queueUs: Math.round(result.queueUs),
      inferUs: Math.round(result.inferUs),
      decideUs: Math.round((performance.now() - made.startedMs) * 1000),
    });
    const line = { stream, kind: "decision", agent: this.#options.agentNumber, id, wallMs: nowMs, body } as const;
    this.#write(line, verdict.proposed, pass, made.source === "answer" ? result.answer : undefined, pass.trace);
  }

  /** The decision, and in its transaction what became of all that it proposes. */
  #write(
    line: NewRecord,
    proposed: readonly Proposed[] | undefined,
    seen: PassValues,
    answer: Answer | undefined,
    trace: string | undefined,
  ): void {
    const { log, proposals } = this.#deps;
    const isSomething = proposals !== undefined && proposed !== undefined && proposed.length > 0;
    const judged = isSomething ? proposals.propose(this.#origin(line, seen, answer, trace), proposed) : undefined;
    if (judged === undefined) {
      log.append(line);
      if (this.#options.prompt) log.commitNow();
      return;
    }
    log.appendTogether([line, ...judged.records]);
    log.onDurable(judged.durable);
    log.commitNow();
  }

  #origin(line: NewRecord, seen: PassValues, answer: Answer | undefined, trace: string | undefined): Origin {
    const { agent, inputNames, fieldNames, privateNames } = this.#options.form;
    const features = valuesOf(inputNames, seen.row);
    const context: PolicyContext = {
      key: seen.key,
      ...(seen.eventId === undefined ? {} : { eventId: seen.eventId }),
      timeMs: seen.eventTimeMs,
      // An agent without features gives its fields to the model as they are.
      fields: valuesOf(fieldNames ?? this.#options.fields, seen.fields ?? []),
      features: this.#options.hasFeatures ? features : {},
      answer: answer ?? {},
    };
    return {
      decision: line.id,
      by: undefined,
      agent,
      key: seen.key,
      context,
      private: privateNames,
      trace,
      nowMs: line.wallMs,
    };
  }
}

function valuesOf(names: readonly string[], row: InputRow): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [at, name] of names.entries()) if (row[at] !== undefined) values[name] = row[at];
  return values;
}

/** What is known where no pass was opened. */
function seenAtEdge(key: string, nowMs: number, delivery: Delivery | undefined): PassValues {
  return {
    key,
    eventId: delivery?.eventId,
    eventTimeMs: delivery?.eventTimeMs ?? nowMs,
    fields: delivery?.values as InputRow | undefined,
    row: [],
    coverage: 0,
    windowCount: 0,
  };
}

interface Made {
  readonly verdict: RuleVerdict;
  readonly source: "answer" | "none" | "fallback";
  readonly reason: string | undefined;
  readonly probability: number;
  readonly nowMs: number;
  readonly startedMs: number;
  readonly result: Extract<InferResult, { ok: true }>;
}
