import type { Answer } from "./tensors.ts";

export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/** Where two answers differ by more than the tolerance, or undefined. Texts, labels and booleans must be equal. */
export function answerDifference(expected: Answer, actual: Answer, tolerance: Tolerance): string | undefined {
  for (const name of Object.keys(expected)) {
    const difference = valueDifference(expected[name], actual[name], tolerance);
    if (difference !== undefined) return `${name}${difference}`;
  }
  return undefined;
}

function valueDifference(expected: unknown, actual: unknown, tolerance: Tolerance): string | undefined {
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return " has another number of elements";
    for (let i = 0; i < expected.length; i++) {
      const difference = valueDifference(expected[i], actual[i], tolerance);
      if (difference !== undefined) return `[${i}]${difference}`;
    }
    return undefined;
  }
  if (typeof expected === "number" && typeof actual === "number") {
    const allowed = tolerance.absolute + tolerance.relative * Math.abs(expected);
    return Math.abs(expected - actual) <= allowed ? undefined : ` is ${actual} instead of ${expected}`;
  }
  return expected === actual ? undefined : ` is ${String(actual)} instead of ${String(expected)}`;
}
