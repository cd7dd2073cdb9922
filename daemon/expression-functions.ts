/** Static types of expressions. `any` is known only when it is evaluated. */
export type Type = "number" | "boolean" | "text" | "numbers" | "list" | "null" | "time" | "duration" | "any";

export const typeWords: Readonly<Record<Type, string>> = {
  number: "a number",
  boolean: "true or false",
  text: "text",
  numbers: "a list of numbers",
  list: "a list",
  null: "null",
  time: "a time",
  duration: "a duration",
  any: "a value",
};

export interface Signature {
  /** Types that each argument may have, besides `any`. */
  readonly takes: readonly (readonly Type[])[];
  /** The least number of arguments, where the last ones may be left out. */
  readonly atLeast?: number;
  readonly gives: Type;
  /** The library's or our function that does it. */
  readonly call: string;
  /** The library gives a whole number, which does not mix with doubles. */
  readonly whole?: boolean;
}

const countable: readonly Type[] = ["text", "numbers", "list"];

/** What may be called as `f(x)`. */
export const functions: Readonly<Record<string, Signature>> = {
  size: { takes: [countable], gives: "number", call: "size", whole: true },
  double: { takes: [["number", "text"]], gives: "number", call: "@double" },
  int: { takes: [["number", "text"]], gives: "number", call: "@int" },
  string: { takes: [["number", "text", "boolean", "time", "duration"]], gives: "text", call: "string" },
  bool: { takes: [["boolean", "text"]], gives: "boolean", call: "bool" },
  timestamp: { takes: [["number", "text"]], gives: "time", call: "timestamp" },
  duration: { takes: [["text"]], gives: "duration", call: "duration" },
};

const onText = (call: string): Signature => ({ takes: [["text"], ["text"]], gives: "boolean", call });
const onTime = (call: string): Signature => ({
  takes: [["time", "duration"], ["text"]],
  atLeast: 1,
  gives: "number",
  call,
  whole: true,
});

/** What may be called as `x.f(y)`; the target is the first of what it takes. */
export const methods: Readonly<Record<string, Signature>> = {
  contains: onText("contains"),
  startsWith: onText("startsWith"),
  endsWith: onText("endsWith"),
  matches: onText("matches"),
  size: { takes: [countable], gives: "number", call: "size", whole: true },
  getFullYear: onTime("getFullYear"),
  getMonth: onTime("getMonth"),
  getDate: onTime("getDate"),
  getDayOfMonth: onTime("getDayOfMonth"),
  getDayOfWeek: onTime("getDayOfWeek"),
  getDayOfYear: onTime("getDayOfYear"),
  getHours: onTime("getHours"),
  getMinutes: onTime("getMinutes"),
  getSeconds: onTime("getSeconds"),
  getMilliseconds: onTime("getMilliseconds"),
};

/** Operators that need numbers or an unknown, by the library's name: as people write them, and ours for two numbers. */
export const arithmetic: Readonly<Record<string, { readonly sign: string; readonly ours: string }>> = {
  "_+_": { sign: "+", ours: "@add" },
  "_-_": { sign: "-", ours: "@subtract" },
  "_*_": { sign: "*", ours: "@multiply" },
  "_/_": { sign: "/", ours: "@divide" },
  "_%_": { sign: "%", ours: "@remainder" },
};

export const comparisons: Readonly<Record<string, { readonly sign: string; readonly ours: string }>> = {
  "_<_": { sign: "<", ours: "@less" },
  "_<=_": { sign: "<=", ours: "@lessOrEqual" },
  "_>_": { sign: ">", ours: "@greater" },
  "_>=_": { sign: ">=", ours: "@greaterOrEqual" },
  "_==_": { sign: "==", ours: "@equal" },
  "_!=_": { sign: "!=", ours: "@notEqual" },
};

const NOT_FINITE = "the result is not a finite number";

function finite(result: number): number {
  if (result - result !== 0) throw new Error(NOT_FINITE);
  return result;
}

function divisor(value: number): number {
  if (value === 0) throw new Error("division by zero");
  return value;
}

/** Operators on two numbers. Operands were checked when they were read, so only results need a look. */
export const onNumbers: Readonly<Record<string, (a: number, b: number) => number | boolean>> = {
  "@add": (a, b) => finite(a + b),
  "@subtract": (a, b) => finite(a - b),
  "@multiply": (a, b) => finite(a * b),
  "@divide": (a, b) => finite(a / divisor(b)),
  "@remainder": (a, b) => finite(a % divisor(b)),
  "@less": (a, b) => a < b,
  "@lessOrEqual": (a, b) => a <= b,
  "@greater": (a, b) => a > b,
  "@greaterOrEqual": (a, b) => a >= b,
  "@equal": (a, b) => a === b,
  "@notEqual": (a, b) => a !== b,
};

const A_NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/;

function toNumber(value: unknown): number {
  if (typeof value === "number") return finite(value);
  if (typeof value === "bigint") return Number(value);
  // Number("") is 0 in JavaScript: only what looks like a number is one.
  if (typeof value === "string" && A_NUMBER.test(value)) return finite(Number(value));
  throw new Error(typeof value === "string" ? "the text is not a number" : "not a number");
}

/** Functions of one value. */
export const onOne: Readonly<Record<string, (value: unknown) => unknown>> = {
  "@double": toNumber,
  "@int": (value) => Math.trunc(toNumber(value)),
  "@negate": (value) => -toNumber(value),
  // Times are milliseconds since 1970 here; the library wants them whole.
  "@whole": (value) => (typeof value === "number" ? BigInt(Math.trunc(value)) : value),
  // For values whose type is not known before they are there.
  "@finite": (value) => (typeof value === "number" ? finite(value) : value),
};
