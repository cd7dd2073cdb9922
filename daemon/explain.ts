import type { Answer, InputRow } from "../models/inference.ts";
import { PRIVATE } from "../sync/redact.ts";
import { type Declarations, NEVER_FIRED_SECONDS, type PassValues, type StateValues } from "./expression-names.ts";
import { ExpressionFailure, Expressions, type ExpressionValue } from "./expressions.ts";

/** A part of an expression with what it came to, or why it came to nothing. */
export interface ExplainedPart {
  readonly text: string;
  /** 0 for the whole expression. */
  readonly depth: number;
  readonly value?: ExpressionValue;
  readonly error?: string;
}

/** What an expression saw. */
export interface Seen {
  readonly pass: PassValues;
  readonly answer: Answer | undefined;
  readonly state: StateValues;
  readonly nowMs: number;
}

/** Each part of an expression with its value, outermost first; of parts that read a private name only that they do. */
export function explainExpression(
  source: string,
  declarations: Declarations,
  seen: Seen,
  hidden: readonly string[] = [],
): ExplainedPart[] {
  const expressions = new Expressions(declarations);
  const parts = expressions.parts(source);
  expressions.bind(seen.pass, seen.answer, seen.nowMs);
  expressions.bindState(seen.state);
  const paths = hidden.flatMap((name) => [`event.fields.${name}`, `features.${name}`, `query.${name}`]);
  return parts.map(({ text, depth, expression }) => {
    if (paths.some((path) => expression.reads.has(path))) return { text, depth, value: PRIVATE };
    const value = expression.value();
    return value instanceof ExpressionFailure ? { text, depth, error: value.message } : { text, depth, value };
  });
}

type Scalars = Readonly<Record<string, number | string | boolean | null>>;

/** A decision's line as far as its rules saw it. */
export interface RecordedDecision {
  readonly key: string;
  readonly eventId?: string | undefined;
  readonly eventTime: number;
  readonly decidedAt: number;
  readonly inputs: Scalars;
  readonly fields?: Scalars | undefined;
  readonly queries?: Readonly<Record<string, unknown>> | undefined;
  readonly window?: { readonly coverage: number; readonly count: number } | undefined;
  readonly state?: Readonly<Record<string, unknown>> | undefined;
  readonly answer?: Answer | undefined;
}

/** What a rule saw when a recorded decision was made. */
export function seenBy(rule: string, decision: RecordedDecision, declarations: Declarations): Seen {
  const rowOf = (names: readonly { readonly name: string }[], values: Scalars) =>
    names.map(({ name }) => values[name]) as InputRow;
  return {
    pass: {
      key: decision.key,
      eventId: decision.eventId,
      eventTimeMs: decision.eventTime,
      // An agent without features gives its fields to the model as they are.
      fields: rowOf(declarations.fields, decision.fields ?? decision.inputs),
      row: rowOf(declarations.features, decision.inputs),
      coverage: decision.window?.coverage ?? 0,
      windowCount: decision.window?.count ?? 0,
      queries: decision.queries,
    },
    answer: decision.answer,
    state: stateOf(decision.state?.[rule]),
    nowMs: decision.decidedAt,
  };
}

/** What a rule could see of its own past, from the state that its decision tells. */
function stateOf(recorded: unknown): StateValues {
  const state = (recorded ?? {}) as { lastFiredMs?: number | null; firing?: boolean; passes?: number };
  return {
    sinceLastFiredSeconds: typeof state.lastFiredMs === "number" ? state.lastFiredMs / 1000 : NEVER_FIRED_SECONDS,
    firing: state.firing ?? false,
    passes: state.passes ?? 0,
  };
}
