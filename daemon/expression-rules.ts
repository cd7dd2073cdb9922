import type { Type } from "./expression-functions.ts";

export function isList(type: Type): boolean {
  return type === "numbers" || type === "list";
}

export function isTime(type: Type): boolean {
  return type === "time" || type === "duration";
}

export function sumOf(a: Type, b: Type): Type | undefined {
  if (a === "text" && b === "text") return "text";
  if (isList(a) && isList(b)) return a === b ? a : "list";
  if (isTime(a) && isTime(b)) return a === "time" && b === "time" ? undefined : a === b ? "duration" : "time";
  return undefined;
}

export function timeDifference(sign: string, a: Type, b: Type): Type | undefined {
  if (sign !== "-" || !isTime(a) || !isTime(b)) return undefined;
  return a === b ? "duration" : a === "time" ? "time" : undefined;
}

export function comparable(type: Type, isEquality: boolean): boolean {
  return isEquality || !(isList(type) || type === "null");
}
