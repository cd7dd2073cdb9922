import {
  type CelEnv,
  type CelError,
  CelScalar,
  celEnv,
  celError,
  celFunc,
  isCelError,
  isCelList,
  parse,
  plan,
  unparse,
} from "@bufbuild/cel";
import type { Answer } from "../models/inference.ts";
import { Checker, type ExpressionProblem, type Names, presenceName } from "./expression-check.ts";
import { onNumbers, onOne, type Type, typeWords } from "./expression-functions.ts";
import {
  type Declarations,
  type Leaf,
  leavesOf,
  type Moment,
  NEVER_FIRED_SECONDS,
  namesOf,
  type PassValues,
  type StateValues,
} from "./expression-names.ts";
import {
  hintForFailure,
  lengthProblem,
  loopProblems,
  MOST_LIST_ITEMS,
  patternProblem,
  sizeProblem,
  syntaxProblem,
} from "./expression-syntax.ts";
import { callOf, type Expr, partsOf, textOf } from "./expression-tree.ts";
import { syntheticMoments } from "./synthetic.ts";

const MOST_PAYLOAD_DEPTH = 16;

/** Why an evaluation has no value. */
export class ExpressionFailure {
  readonly message: string;
  readonly offset: number;

  constructor(message: string, offset: number) {
    this.message = message;
    this.offset = offset;
  }
}

export type ExpressionValue = number | string | boolean | null | readonly ExpressionValue[];

/** A checked expression over the values that its `Expressions` is bound to. */
export interface Expression {
  readonly source: string;
  readonly type: Type;
  /** Root names that it reads, such as `answer` or `state.passes`. */
  readonly reads: ReadonlySet<string>;
  /** Its truth now. */
  test(): boolean | ExpressionFailure;
  /** Its value now. */
  value(): ExpressionValue | ExpressionFailure;
}

export type Compiled =
  | { readonly ok: true; readonly expression: Expression }
  | { readonly ok: false; readonly problems: readonly ExpressionProblem[] };

/** A condition is true or false; a value may also be a number or text. */
export type Purpose = "condition" | "value";

const { DYN } = CelScalar;
let sharedEnv: CelEnv | undefined;

/** Ours take any type: what they are given was checked before, and the library's own test of types costs more. */
function environment(): CelEnv {
  sharedEnv ??= celEnv({
    funcs: [
      ...Object.entries(onNumbers).map(([name, run]) =>
        celFunc(name, [DYN, DYN], DYN, (a, b) => run(a as number, b as number)),
      ),
      ...Object.entries(onOne).map(([name, run]) => celFunc(name, [DYN], DYN, (value) => run(value) as number)),
    ],
  });
  return sharedEnv;
}

type Parsed = {
  readonly expr: Expr;
  readonly positions: Readonly<Record<string, number>>;
  readonly sourceInfo: unknown;
};
type Run = (slots: Record<string, never>) => unknown;

/** The value of one name in the object that the library reads, and what stands there when it can not be used. */
interface Slot {
  readonly leaf: Leaf;
  readonly missing: unknown;
  readonly unusable: unknown;
}

/**
 * Expressions over one agent's names. All that are compiled here share one set of bound values: bind, then ask. The
 * object the library reads is reused, flat, and holds only names that some expression uses.
 */
export class Expressions {
  readonly declarations: Declarations;
  readonly #leaves: readonly Leaf[];
  readonly #names: Names;
  readonly #slots: Record<string, unknown> = {};
  readonly #bound: Slot[] = [];
  readonly #stateBound: Slot[] = [];
  readonly #present: Leaf[] = [];
  readonly #moment: Moment;

  constructor(declarations: Declarations) {
    this.declarations = declarations;
    this.#leaves = leavesOf(declarations);
    this.#names = { leaves: this.#leaves, top: namesOf(this.#leaves) };
    const payload = declarations.own?.moments[0]?.payload;
    this.#moment = { pass: NO_PASS, answer: undefined, state: NEVER_FIRED, nowMs: 0, payload };
  }

  /** Values for all expressions, until the next call. What is not finite or not there is an error where it is read. */
  bind(pass: PassValues, answer: Answer | undefined, nowMs: number, payload?: unknown): void {
    const moment = this.#moment;
    moment.pass = pass;
    moment.answer = answer;
    moment.nowMs = nowMs;
    moment.payload = payload;
    for (const slot of this.#bound) this.#fill(slot);
    for (const leaf of this.#present) this.#slots[presenceName(leaf.path)] = isUsable(leaf, leaf.read(moment));
  }

  /** The rule's own past, for expressions that read `state`. */
  bindState(state: StateValues): void {
    this.#moment.state = state;
    for (const slot of this.#stateBound) this.#fill(slot);
  }

  compile(source: string, purpose: Purpose): Compiled {
    const parsed = parsedOf(source);
    if (!("expr" in parsed)) return { ok: false, problems: [parsed] };
    const checker = new Checker(this.#names, parsed.positions);
    const { expr, type } = checker.check(parsed.expr);
    const problems = [
      ...checker.problems,
      ...patternProblems(checker),
      ...loopProblems(parsed.expr, checker.used.keys()),
    ];
    if (problems.length === 0 && purpose === "condition" && type !== "boolean" && type !== "any") {
      problems.push({ message: `the condition has to be true or false, and this is ${typeWords[type]}`, offset: 0 });
    }
    if (problems.length > 0) return { ok: false, problems };
    const expression = this.#expression(source, expr, type, checker, parsed.positions);
    const failed = this.#trial(expression, purpose, checker);
    return failed === undefined ? { ok: true, expression } : { ok: false, problems: [failed] };
  }

  /** Each part of an expression as an expression of its own, outermost first, without constants and loop bodies. */
  parts(source: string): { readonly text: string; readonly depth: number; readonly expression: Expression }[] {
    const parsed = parsedOf(source);
    if (!("expr" in parsed)) return [];
    return partsOf(parsed.expr).map(({ expr: part, depth }) => {
      const checker = new Checker(this.#names, parsed.positions);
      const { expr, type } = checker.check(part);
      const text = unparse({ expr: part, sourceInfo: parsed.sourceInfo } as unknown as Parameters<typeof unparse>[0]);
      return { text, depth, expression: this.#expression(text, expr, type, checker, parsed.positions) };
    });
  }

  #expression(source: string, expr: Expr, type: Type, checker: Checker, positions: Parsed["positions"]): Expression {
    for (const leaf of checker.used.keys()) this.#use(leaf);
    for (const leaf of checker.presenceOf) if (!this.#present.includes(leaf)) this.#present.push(leaf);
    const run = planned(expr);
    const slots = this.#slots as Record<string, never>;
    const failure = (error: CelError) => failureOf(error, positions);
    return {
      source,
      type,
      reads: new Set([...checker.used.keys(), ...checker.presenceOf].flatMap((leaf) => [leaf.root, leaf.path])),
      test() {
        const value = run(slots);
        if (value === true || value === false) return value;
        return isCelError(value) ? failure(value) : new ExpressionFailure("the condition is not true or false", 0);
      },
      value() {
        const value = run(slots);
        return isCelError(value) ? failure(value) : plainOf(value);
      },
    };
  }

  #use(leaf: Leaf): void {
    const bound = leaf.root === "state" ? this.#stateBound : this.#bound;
    if (bound.some((slot) => slot.leaf === leaf)) return;
    const slot: Slot = {
      leaf,
      missing: celError(`${leaf.path} has no value`),
      unusable: celError(`${leaf.path} is not ${unusableWords[leaf.type]}`),
    };
    bound.push(slot);
    this.#fill(slot);
  }

  #fill({ leaf, missing, unusable }: Slot): void {
    const value = leaf.read(this.#moment);
    if (isUsable(leaf, value)) this.#slots[leaf.path] = leaf.type === "any" ? celOf(value, leaf.path, 0) : value;
    else this.#slots[leaf.path] = value === undefined || value === null ? missing : unusable;
  }

  /** Runs it over made-up values from the declared ranges: what errs there would err in the field. */
  #trial(expression: Expression, purpose: Purpose, checker: Checker): ExpressionProblem | undefined {
    const used = [...checker.used.keys(), ...checker.presenceOf];
    // What a message says can not be made up.
    if (this.declarations.payload === true || used.some(isOpen)) return undefined;
    for (const moment of this.declarations.own?.moments ?? syntheticMoments(this.declarations)) {
      this.bind(moment.pass, moment.answer, moment.nowMs, moment.payload);
      this.bindState(moment.state);
      const result = purpose === "condition" ? expression.test() : expression.value();
      if (!(result instanceof ExpressionFailure)) continue;
      const { message } = result;
      // Nor what a question is answered: without an answer its rule does not fire.
      if (used.some((one) => one.root === "query" && message.includes(`${one.path} has no value`))) continue;
      // What was bound as an error has no place of its own.
      const leaf = used.find((one) => message.startsWith(`${one.path} `));
      const offset = (leaf === undefined ? undefined : checker.used.get(leaf)) ?? result.offset;
      const hint = hintForFailure(message, used);
      return {
        message: `it errs${shownValues(used, moment)}: ${message}`,
        offset,
        ...(hint === undefined ? {} : { hint }),
      };
    }
    return undefined;
  }
}

/** For expressions that read no pass. */
export const NO_PASS: PassValues = {
  key: "",
  eventId: undefined,
  eventTimeMs: 0,
  fields: undefined,
  row: [],
  coverage: 0,
  windowCount: 0,
};
const NEVER_FIRED: StateValues = { sinceLastFiredSeconds: NEVER_FIRED_SECONDS, firing: false, passes: 0 };

const unusableWords = {
  ...typeWords,
  number: "a finite number",
  numbers: "a list of finite numbers",
  any: "a finite number",
};

function isUsable({ type }: Leaf, value: unknown): boolean {
  switch (type) {
    case "number":
      return typeof value === "number" && value - value === 0;
    case "boolean":
      return typeof value === "boolean";
    case "text":
      return typeof value === "string";
    case "numbers":
      return Array.isArray(value) && value.every((item) => typeof item === "number" && item - item === 0);
    default:
      return value !== undefined && !(typeof value === "number" && value - value !== 0);
  }
}

/** A message's value as the library reads it; names such as `constructor` are only names in a Map. */
function celOf(value: unknown, path: string, depth: number): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) return celError(`${path} has a number that is not finite`);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MOST_PAYLOAD_DEPTH) return celError(`${path} is nested too deep`);
  const entries = Array.isArray(value) ? value : Object.entries(value);
  if (entries.length > MOST_LIST_ITEMS) return celError(`${path} has a list that is too long`);
  const items = entries.map((item) => celOf(Array.isArray(value) ? item : item[1], path, depth + 1));
  const broken = items.find(isCelError);
  if (broken !== undefined) return broken;
  return Array.isArray(value) ? items : new Map(entries.map(([name], at) => [name, items[at]]));
}

function plainOf(value: unknown): ExpressionValue | ExpressionFailure {
  if (typeof value === "bigint") return Number(value);
  if (isCelList(value)) return [...value].map((item) => plainOf(item) as ExpressionValue);
  if (value === null || typeof value === "number" || typeof value === "string" || typeof value === "boolean")
    return value;
  return new ExpressionFailure("the value can not be used; make text of it with string(…)", 0);
}

function failureOf(error: CelError, positions: Parsed["positions"]): ExpressionFailure {
  const offset = error.exprId === undefined ? 0 : (positions[error.exprId.toString()] ?? 0);
  const isPlace = error.message.startsWith("index ") || error.message === "unsupported input undefined";
  return new ExpressionFailure(isPlace ? "the list has no such place" : error.message, offset);
}

function parsedOf(source: string): Parsed | ExpressionProblem {
  const tooLong = lengthProblem(source);
  if (tooLong !== undefined) return tooLong;
  try {
    const parsed = parse(source) as unknown as { expr: Expr; sourceInfo: { positions: Record<string, number> } };
    const { expr, sourceInfo } = parsed;
    return sizeProblem(expr) ?? { expr, positions: sourceInfo.positions, sourceInfo };
  } catch (error) {
    return syntaxProblem(source, error);
  }
}

/** Tried on an empty text: the library compiles a pattern only when it is used. */
function patternProblems(checker: Checker): ExpressionProblem[] {
  return checker.patterns.flatMap(({ pattern, offset }) => {
    const tried = planned(callOf(0n, "matches", [textOf(0n, pattern)], textOf(0n, "")))({});
    return patternProblem(pattern, offset, isCelError(tried) ? tried.message : undefined);
  });
}

function planned(expr: Expr): Run {
  return plan(environment(), expr as unknown as Parameters<typeof plan>[1]) as Run;
}

/** What it can be is nowhere said. Questions may go unanswered, and that can be tried. */
function isOpen({ type, root }: Leaf): boolean {
  return type === "any" && root !== "query";
}

const MOST_SHOWN = 3;

function shownValues(used: readonly Leaf[], moment: Moment): string {
  const known = used.filter((leaf) => leaf.root !== "device" && leaf.read(moment) !== undefined).slice(0, MOST_SHOWN);
  if (known.length === 0) return "";
  return ` with ${known.map((leaf) => `${leaf.path} = ${JSON.stringify(leaf.read(moment))?.slice(0, 60)}`).join(", ")}`;
}
