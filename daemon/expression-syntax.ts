import type { ExpressionProblem } from "./expression-check.ts";
import type { Leaf } from "./expression-names.ts";
import { countNodes, type Expr, loopDepth } from "./expression-tree.ts";

const MOST_NODES = 200;
const MOST_LOOP_DEPTH = 1;
const MOST_CHARACTERS = 4096;
const MOST_PATTERN_CHARACTERS = 256;
/** Longer lists can be read by place, but nothing runs over them. */
export const MOST_LIST_ITEMS = 1024;

/** Before parsing: the parser's time and stack grow with the text. */
export function lengthProblem(source: string): ExpressionProblem | undefined {
  if (source.trim() === "") return { message: "the expression is empty", offset: 0 };
  if (source.length <= MOST_CHARACTERS) return undefined;
  return { message: `the expression is longer than ${MOST_CHARACTERS} characters`, offset: 0 };
}

/** The language always ends, but its cost grows with the tree and with loops in loops. */
export function sizeProblem(expr: Expr): ExpressionProblem | undefined {
  const nodes = countNodes(expr);
  if (nodes > MOST_NODES) {
    return { message: `the expression has ${nodes} parts, ${MOST_NODES} are allowed`, offset: 0 };
  }
  if (loopDepth(expr) <= MOST_LOOP_DEPTH) return undefined;
  const hint = "exists, all, map and filter can only follow each other.";
  return { message: "a loop stands in a loop", offset: 0, hint };
}

export function loopProblems(expr: Expr, used: Iterable<Leaf>): ExpressionProblem[] {
  if (loopDepth(expr) === 0) return [];
  return [...used]
    .filter((leaf) => (leaf.width ?? 0) > MOST_LIST_ITEMS)
    .map(({ path, width }) => ({
      message: `${path} has ${width} items; loops run over at most ${MOST_LIST_ITEMS}`,
      offset: 0,
    }));
}

export function patternProblem(pattern: string, offset: number, refusal: string | undefined): ExpressionProblem[] {
  if (pattern.length > MOST_PATTERN_CHARACTERS) {
    return [{ message: `the pattern is longer than ${MOST_PATTERN_CHARACTERS} characters`, offset }];
  }
  return refusal === undefined ? [] : [{ message: `the pattern can not be used: ${refusal}`, offset }];
}

/** The parser says how far it came; what stands there is what a person looks for. */
export function syntaxProblem(source: string, error: unknown): ExpressionProblem {
  const offset = (error as { location?: { start: { offset: number } } }).location?.start.offset;
  if (offset === undefined) return { message: "the expression can not be read", offset: 0, hint: hintOf(error) };
  const found = source.slice(offset, offset + 12).trim();
  if (found === "") return { message: "the expression ends too early", offset };
  const message = `the expression can not be read from ${JSON.stringify(found)} on`;
  const hint = syntaxHint(found);
  return hint === undefined ? { message, offset } : { message, offset, hint };
}

function hintOf(error: unknown): string {
  const isTooDeep = error instanceof RangeError;
  return isTooDeep
    ? "It is nested too deep."
    : `The parser says: ${error instanceof Error ? error.message : "nothing"}.`;
}

function syntaxHint(found: string): string | undefined {
  if (/^=(?!=)/.test(found)) return 'Write "==" to compare.';
  const word = /^(and|or|not)\b/i.exec(found)?.[1]?.toLowerCase();
  if (word !== undefined) return `Write "${word === "and" ? "&&" : word === "or" ? "||" : "!"}".`;
  return /^['"]/.test(found) ? "The text has no closing quote." : undefined;
}

export function hintForFailure(message: string, used: readonly Leaf[]): string | undefined {
  const missing = used.find((leaf) => leaf.optional === true && message === `${leaf.path} has no value`);
  if (missing !== undefined) return `It may be missing; ask first: has(${missing.path}) && …`;
  return message === "division by zero" ? "Ask first whether the divisor is 0: x != 0 && y / x > 1." : undefined;
}
