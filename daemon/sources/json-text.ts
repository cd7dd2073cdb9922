import { isUtf8 } from "node:buffer";
import type { InvalidReason } from "./reasons.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

const MAX_DEPTH = 32;
const TOO_DEEP = -1;
const FORBIDDEN = -2;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COMMA = 0x2c;
const SPACE = 0x20;

/**
 * A JSON object, or why the payload is none. Objects with a key twice are refused, where JSON.parse would silently take
 * the last: there are as many keys in the result as keys in the text, or the text is looked at closely.
 */
export function readJsonObject(payload: Buffer): JsonObject | InvalidReason {
  if (!isUtf8(payload)) return "notUtf8";
  const text = payload.toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // what is wrong with it is of no use to anyone who can't see the payload
    return "notJson";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "notAnObject";
  const keys = countKeys(value, 1);
  if (keys === TOO_DEEP) return "tooDeep";
  if (keys === FORBIDDEN) return "forbiddenKey";
  if (countKeyColons(text) !== keys && hasDuplicateKey(text)) return "duplicateKey";
  return value as JsonObject;
}

function countKeys(value: object, depth: number): number {
  if (depth > MAX_DEPTH) return TOO_DEEP;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) {
      if (typeof item !== "object" || item === null) continue;
      const below = countKeys(item, depth + 1);
      if (below < 0) return below;
      count += below;
    }
    return count;
  }
  const object = value as Record<string, unknown>;
  for (const key in object) {
    if (key === "__proto__") return FORBIDDEN;
    count += 1;
    const item = object[key];
    if (typeof item !== "object" || item === null) continue;
    const below = countKeys(item, depth + 1);
    if (below < 0) return below;
    count += below;
  }
  return count;
}

/** Colons that follow a quote: all that end a key, and perhaps some inside of strings, never fewer than keys. */
function countKeyColons(text: string): number {
  let count = 0;
  for (let at = text.indexOf(":"); at > 0; at = text.indexOf(":", at + 1)) {
    let before = at - 1;
    while (text.charCodeAt(before) <= SPACE) before -= 1;
    if (text.charCodeAt(before) === QUOTE) count += 1;
  }
  return count;
}

/** Exact, for text that is known to be JSON. */
function hasDuplicateKey(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (expectsKey) {
        const keys = open.at(-1);
        const key = JSON.parse(text.slice(at, end + 1)) as string;
        if (keys?.has(key) === true) return true;
        keys?.add(key);
        expectsKey = false;
      }
      at = end;
    } else if (code === OPEN_OBJECT) {
      open.push(new Set());
      expectsKey = true;
    } else if (code === OPEN_ARRAY) {
      open.push(undefined);
      expectsKey = false;
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      open.pop();
      expectsKey = false;
    } else if (code === COMMA) {
      expectsKey = open.at(-1) !== undefined;
    }
  }
  return false;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (; text.charCodeAt(at) !== QUOTE; at += 1) {
    if (text.charCodeAt(at) === BACKSLASH) at += 1;
  }
  return at;
}
