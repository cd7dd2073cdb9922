/**
 * What a policy means, written down once more without the daemon's code: conditions as small trees that are printed as
 * CEL for the daemon and evaluated here by hand, and rules asked one question after the other.
 */

export type Literal = number | string | boolean;
type Sign = "<" | "<=" | ">" | ">=" | "==" | "!=";

/** A value that may be there or not. */
export interface OpenName {
  readonly group: "event.fields" | "features" | "answer" | "arguments";
  readonly name: string;
}

/** A value that a condition reads. */
export type Name =
  | OpenName
  | { readonly known: "event.key" | "action.tool" | "action.agent" | "action.by" | "event.time" | "now" };

export type Condition =
  | { readonly kind: "literal"; readonly value: boolean }
  | { readonly kind: "bare"; readonly name: Name }
  | { readonly kind: "has"; readonly name: OpenName }
  | { readonly kind: "compare"; readonly name: Name; readonly sign: Sign; readonly literal: Literal }
  | {
      readonly kind: "arithmetic";
      readonly left: OpenName;
      readonly operator: "-" | "*" | "/" | "%";
      readonly right: number;
      readonly sign: Sign;
      readonly literal: number;
    }
  | { readonly kind: "among"; readonly name: Name; readonly literals: readonly Literal[] }
  | { readonly kind: "some"; readonly list: OpenName; readonly above: number }
  | { readonly kind: "and" | "or"; readonly parts: readonly [Condition, Condition] }
  | { readonly kind: "not"; readonly part: Condition }
  | { readonly kind: "choice"; readonly parts: readonly [Condition, Condition, Condition] };

export interface NaiveRule {
  readonly id: string;
  readonly effect: "forbid" | "permit" | "requireApproval";
  readonly tools: readonly string[];
  readonly agents: readonly string[];
  readonly condition: Condition | undefined;
}

export interface NaiveSituation {
  readonly action: {
    readonly tool: string;
    readonly class: "notify" | "reversible" | "consequential" | "critical";
    readonly agent: string;
    readonly by: string;
    readonly arguments: Readonly<Record<string, Literal>>;
  };
  readonly key: string;
  readonly timeMs: number;
  readonly nowMs: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly features: Readonly<Record<string, unknown>>;
  readonly answer: Readonly<Record<string, unknown>>;
}

export interface NaiveVerdict {
  readonly effect: "permit" | "requireApproval" | "forbid" | "deny";
  readonly rules: readonly string[];
  readonly erred: readonly string[];
}

/** The condition as the daemon reads it. */
export function celText(condition: Condition): string {
  switch (condition.kind) {
    case "literal":
      return String(condition.value);
    case "bare":
      return nameText(condition.name);
    case "has":
      return `has(${condition.name.group}.${condition.name.name})`;
    case "compare":
      return `${nameText(condition.name)} ${condition.sign} ${literalText(condition.literal)}`;
    case "arithmetic":
      return `${nameText(condition.left)} ${condition.operator} ${literalText(condition.right)} ${condition.sign} ${literalText(condition.literal)}`;
    case "among":
      return `${nameText(condition.name)} in [${condition.literals.map(literalText).join(", ")}]`;
    case "some":
      return `${nameText(condition.list)}.exists(one, one > ${literalText(condition.above)})`;
    case "and":
      return `(${celText(condition.parts[0])}) && (${celText(condition.parts[1])})`;
    case "or":
      return `(${celText(condition.parts[0])}) || (${celText(condition.parts[1])})`;
    case "not":
      return `!(${celText(condition.part)})`;
    case "choice":
      return `(${celText(condition.parts[0])}) ? (${celText(condition.parts[1])}) : (${celText(condition.parts[2])})`;
  }
}

function nameText(name: Name): string {
  return "known" in name ? name.known : `${name.group}.${name.name}`;
}

function literalText(literal: Literal): string {
  return typeof literal === "string" ? `'${literal}'` : String(literal);
}

const ERROR = Symbol("error");
type Value = Literal | readonly unknown[] | typeof ERROR;

export function naiveVerdict(rules: readonly NaiveRule[], situation: NaiveSituation): NaiveVerdict {
  const { tool, agent, class: kind } = situation.action;
  const about = rules.filter(
    (rule) =>
      (rule.tools.includes("*") || rule.tools.includes(tool)) &&
      (rule.agents.includes("*") || (agent !== "" && rule.agents.includes(agent))),
  );
  const truth = new Map(
    about.map((rule) => {
      const value = rule.condition === undefined ? true : evaluated(rule.condition, situation);
      return [rule.id, typeof value === "boolean" ? value : ERROR];
    }),
  );
  const erred = about.filter((rule) => truth.get(rule.id) === ERROR).map((rule) => rule.id);
  const matched = about.filter((rule) => {
    if (rule.effect === "permit") return truth.get(rule.id) === true;
    return truth.get(rule.id) !== false;
  });
  const isAny = (effect: NaiveRule["effect"]): boolean => matched.some((rule) => rule.effect === effect);
  const ids = matched.map((rule) => rule.id);
  if (isAny("forbid")) return { effect: "forbid", rules: ids, erred };
  if (isAny("requireApproval")) return { effect: "requireApproval", rules: ids, erred };
  if (isAny("permit")) return { effect: "permit", rules: ids, erred };
  return { effect: kind === "notify" ? "permit" : "deny", rules: ids, erred };
}

function evaluated(condition: Condition, situation: NaiveSituation): Value {
  const evaluate = (one: Condition): Value => evaluated(one, situation);
  switch (condition.kind) {
    case "literal":
      return condition.value;
    case "bare":
      return read(condition.name, situation);
    case "has":
      return read(condition.name, situation) !== ERROR || isBrokenList(condition.name, situation);
    case "compare":
      return compared(read(condition.name, situation), condition.sign, condition.literal);
    case "arithmetic": {
      const left = read(condition.left, situation);
      if (typeof left !== "number") return ERROR;
      const result = calculated(left, condition.operator, condition.right);
      return Number.isFinite(result) ? compared(result, condition.sign, condition.literal) : ERROR;
    }
    case "among": {
      const value = read(condition.name, situation);
      return value === ERROR ? ERROR : condition.literals.some((literal) => literal === value);
    }
    case "some": {
      const list = read(condition.list, situation);
      if (!Array.isArray(list)) return ERROR;
      const truths = list.map((one) => compared(one as Value, ">", condition.above));
      return truths.includes(true) ? true : truths.includes(ERROR) ? ERROR : false;
    }
    case "and": {
      const parts = condition.parts.map(evaluate);
      if (parts.includes(false)) return false;
      return parts.every((part) => part === true) ? true : ERROR;
    }
    case "or": {
      const parts = condition.parts.map(evaluate);
      if (parts.includes(true)) return true;
      return parts.every((part) => part === false) ? false : ERROR;
    }
    case "not": {
      const value = evaluate(condition.part);
      return typeof value === "boolean" ? !value : ERROR;
    }
    case "choice": {
      const first = evaluate(condition.parts[0]);
      if (typeof first !== "boolean") return ERROR;
      return evaluate(condition.parts[first ? 1 : 2]);
    }
  }
}

function read(name: Name, situation: NaiveSituation): Value {
  if ("known" in name) {
    const { action, key, timeMs, nowMs } = situation;
    return {
      "event.key": key,
      "action.tool": action.tool,
      "action.agent": action.agent,
      "action.by": action.by,
      "event.time": timeMs,
      now: nowMs,
    }[name.known];
  }
  const value = written(name, situation);
  if (value === undefined || value === null) return ERROR;
  if (typeof value === "number" && !Number.isFinite(value)) return ERROR;
  return isBrokenList(name, situation) ? ERROR : (value as Value);
}

function written(name: OpenName, situation: NaiveSituation): unknown {
  const group = {
    "event.fields": situation.fields,
    features: situation.features,
    answer: situation.answer,
    arguments: situation.action.arguments,
  }[name.group];
  return new Map(Object.entries(group)).get(name.name);
}

function isBrokenList(name: OpenName, situation: NaiveSituation): boolean {
  const value = written(name, situation);
  return Array.isArray(value) && value.some((one) => !Number.isFinite(one));
}

/** Equality goes over kinds of values, order does not; truth values have the order false, true. */
function compared(a: Value, sign: Sign, b: Literal): boolean | typeof ERROR {
  if (a === ERROR) return ERROR;
  if (sign === "==") return a === b;
  if (sign === "!=") return a !== b;
  if (typeof a !== typeof b || Array.isArray(a)) return ERROR;
  if (sign === "<") return a < b;
  if (sign === "<=") return a <= b;
  return sign === ">" ? a > b : a >= b;
}

function calculated(a: number, operator: "-" | "*" | "/" | "%", b: number): number {
  if (operator === "-") return a - b;
  if (operator === "*") return a * b;
  return operator === "/" ? a / b : a % b;
}
