import { randomFillSync } from "node:crypto";

const POOL_BYTES = 4096;
const RANDOM_BYTES = 10;

/**
 * Makes UUIDv7 texts (RFC 9562, 5.7): 48 bits of wall milliseconds, then random bits.
 * Within one millisecond the order of two ids says nothing; the log's own numbers do.
 */
export function createIds(): (wallMs: number) => string {
  const pool = Buffer.allocUnsafe(POOL_BYTES);
  let used = POOL_BYTES;
  let prefixMs = -1;
  let prefix = "";
  return (wallMs) => {
    if (wallMs !== prefixMs) {
      const hex = Math.max(0, Math.floor(wallMs)).toString(16).padStart(12, "0");
      prefix = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7`;
      prefixMs = wallMs;
    }
    if (used + RANDOM_BYTES > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    // Version and variant bits replace the top of two of the random bytes.
    pool[used + 2] = ((pool[used + 2] ?? 0) & 0x3f) | 0x80;
    const hex = pool.toString("hex", used, used + RANDOM_BYTES);
    used += RANDOM_BYTES;
    return `${prefix}${hex.slice(0, 3)}-${hex.slice(4, 8)}-${hex.slice(8, 20)}`;
  };
}

/** The millisecond that a UUIDv7 carries (RFC 9562, 5.7). */
export function millisecondOf(id: string): number {
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}
