import { isUtf8 } from "node:buffer";
import type { Answered } from "../../queries.ts";

const MOST_CHARS = 4096;
const MOST_DEPTH = 8;
const MOST_ITEMS = 256;

const NOT_UTF8: Answered = { ok: false, reason: "invalidAnswer", detail: "the answer is not UTF-8" };
const NOT_JSON: Answered = { ok: false, reason: "invalidAnswer", detail: "the answer is not JSON" };
const FORBIDDEN: Answered = { ok: false, reason: "invalidAnswer", detail: "the answer has a key __proto__" };
const TOO_LARGE: Answered = {
  ok: false,
  reason: "tooLarge",
  detail: `the answer is larger than ${MOST_CHARS} characters, or than ${MOST_ITEMS} items or ${MOST_DEPTH} levels`,
};

/** Some JSON, within what rules can work with and a decision's line can hold. */
export function readAnswer(bytes: Buffer): Answered {
  if (!isUtf8(bytes)) return NOT_UTF8;
  try {
    return answerOf(JSON.parse(bytes.toString("utf8")));
  } catch {
    return NOT_JSON;
  }
}

/** A value as an answer. */
export function answerOf(value: unknown): Answered {
  const problem = problemOf(value, 1);
  if (problem !== undefined) return problem;
  const text = JSON.stringify(value);
  return text.length > MOST_CHARS ? TOO_LARGE : { ok: true, value, text };
}

function problemOf(value: unknown, depth: number): Answered | undefined {
  // JSON's grammar has larger numbers than a double.
  if (typeof value === "number" && !Number.isFinite(value)) return TOO_LARGE;
  if (typeof value !== "object" || value === null) return undefined;
  if (depth > MOST_DEPTH) return TOO_LARGE;
  const items = Object.values(value);
  if (items.length > MOST_ITEMS) return TOO_LARGE;
  if (Object.hasOwn(value, "__proto__")) return FORBIDDEN;
  for (const item of items) {
    const problem = problemOf(item, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
