const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const MAX_NUMBER_CHARS = 64;

/** The number that a decimal text says; undefined for hexadecimal, "NaN", "1,5" and everything else. May be infinite. */
export function decimal(text: string): number | undefined {
  return text.length <= MAX_NUMBER_CHARS && DECIMAL.test(text) ? Number(text) : undefined;
}

/** Text that may stand for something: not empty, not long, no control characters, no half of a surrogate pair. */
export function isPlain(text: string, maxChars: number): boolean {
  if (text.length === 0 || text.length > maxChars) return false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
    if (code < 0xd800 || code > 0xdfff) continue;
    const next = text.charCodeAt(at + 1);
    if (code > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false;
    at += 1;
  }
  return true;
}
