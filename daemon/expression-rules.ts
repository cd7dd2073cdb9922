import { arithmetic, comparisons, type Type, typeWords } from "./expression-functions.ts";
import { callOf, type Expr } from "./expression-tree.ts";

/** A part of the tree as the library is to run it, and its type. */
export interface Checked {
  readonly expr: Expr;
  readonly type: Type;
}

export type Ruled = Checked | { readonly mistake: string; readonly hint?: string };

type Operands = readonly [Checked, Checked];

export function isList(type: Type): boolean {
  return type === "numbers" || type === "list";
}

/** `a + b` and its like: on numbers ours, which err on what is not finite; else the library's, if the types fit. */
export function arithmeticOf(id: bigint, name: string, [a, b]: Operands): Ruled {
  const { sign, ours } = arithmetic[name] as { sign: string; ours: string };
  const operands = [a.expr, b.expr];
  if (a.type === "number" && b.type === "number") return { expr: callOf(id, ours, operands), type: "number" };
  const type = sign === "+" ? sumOf(a.type, b.type) : timeDifference(sign, a.type, b.type);
  if (type !== undefined) return { expr: callOf(id, name, operands), type };
  const known = a.type === "any" ? b.type : a.type;
  const mayFit = known === "any" || known === "number" || sign === "+" || isTime(known);
  if ((a.type !== "any" && b.type !== "any") || !mayFit) {
    const mistake = `"${sign}" does not go with ${typeWords[a.type]} and ${typeWords[b.type]}`;
    const isText = sign === "+" && (a.type === "text" || b.type === "text");
    return isText ? { mistake, hint: "Write string(x) to make text of a number." } : { mistake };
  }
  // Which operator it is shows only when it runs. The remainder of doubles is ours alone.
  if (sign === "%") {
    const numbers = operands.map((one) => callOf(id, "@double", [one]));
    return { expr: callOf(id, ours, numbers), type: "number" };
  }
  return { expr: callOf(id, "@finite", [callOf(id, name, operands)]), type: "any" };
}

export function comparisonOf(id: bigint, name: string, [a, b]: Operands): Ruled {
  const { sign, ours } = comparisons[name] as { sign: string; ours: string };
  const operands = [a.expr, b.expr];
  if (a.type === "number" && b.type === "number") return { expr: callOf(id, ours, operands), type: "boolean" };
  const isEquality = sign === "==" || sign === "!=";
  const hasOrder = isEquality || [a.type, b.type].every((type) => type !== "null" && !isList(type));
  const isSame = a.type === b.type || a.type === "any" || b.type === "any";
  if (hasOrder && (isSame || (isEquality && isList(a.type) && isList(b.type)))) {
    return { expr: callOf(id, name, operands), type: "boolean" };
  }
  const mistake = `"${sign}" can not compare ${typeWords[a.type]} with ${typeWords[b.type]}`;
  const isNull = a.type === "null" || b.type === "null";
  return isNull ? { mistake, hint: "A value that may be missing is asked for with has(…)." } : { mistake };
}

function isTime(type: Type): boolean {
  return type === "time" || type === "duration";
}

function sumOf(a: Type, b: Type): Type | undefined {
  if (a === "text" && b === "text") return "text";
  if (isList(a) && isList(b)) return a === b ? a : "list";
  if (!isTime(a) || !isTime(b) || (a === "time" && b === "time")) return undefined;
  return a === b ? "duration" : "time";
}

function timeDifference(sign: string, a: Type, b: Type): Type | undefined {
  if (sign !== "-" || !isTime(a) || !isTime(b)) return undefined;
  if (a === b) return "duration";
  return a === "time" ? "time" : undefined;
}
