import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBatch, encodeBatch, recordHash, seqsOf } from "../../sync/batch.ts";
import { SyncError } from "../../sync/errors.ts";
import type { BatchHeader } from "../../sync/messages.ts";

const header: BatchHeader = {
  ...{ v: 1, kind: "batch", session: "00112233aabbccdd", epoch: "90ab12cd34ef5678", ordinal: 3, stream: 1 },
  ...{ lo: 5, hi: 7, dropped: [], clock: { bootId: "b", bootMs: 1.5, wallMs: 2, trust: "synced" } },
};

function reason(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    if (error instanceof SyncError) return `${error.code} ${error.detail["reason"] ?? error.detail["at"]}`;
    throw error;
  }
  return undefined;
}

describe("a batch", () => {
  test("brings back each line as it was, with its place and its hash", () => {
    fc.assert(
      fc.property(
        fc.array(fc.json(), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 1e9 }),
        (lines, lo) => {
          const bodies = lines.map((line) => JSON.stringify({ line }));
          const hi = lo + bodies.length - 1;
          const back = decodeBatch(encodeBatch({ ...header, lo, hi }, bodies));
          expect(back.header).toEqual({ ...header, lo, hi });
          expect(back.lines.map((line) => line.body)).toEqual(bodies);
          expect(back.lines.map((line) => line.seq)).toEqual(bodies.map((_, at) => lo + at));
          for (const { body, hash } of back.lines) expect(hash).toEqual(recordHash(body));
        },
      ),
    );
  });

  test("leaves out what was dropped", () => {
    expect(
      seqsOf({
        lo: 1,
        hi: 9,
        dropped: [
          [1, 2],
          [5, 5],
          [9, 9],
        ],
      }),
    ).toEqual([3, 4, 6, 7, 8]);
    const holed = { ...header, lo: 1, hi: 4, dropped: [[2, 3]] as [number, number][] };
    expect(decodeBatch(encodeBatch(holed, ["a", "b"])).lines.map((line) => line.seq)).toEqual([1, 4]);
  });

  test("that is not what it says it is, is refused with the reason", () => {
    const bodies = ["{}", "{}", "{}"];
    expect(reason(() => decodeBatch(encodeBatch(header, bodies.slice(1))))).toMatch(/fewer lines/);
    expect(reason(() => decodeBatch(encodeBatch(header, [...bodies, "{}"])))).toMatch(/more lines/);
    expect(reason(() => decodeBatch(encodeBatch({ ...header, hi: 4 }, bodies)))).toMatch(/ends before/);
    expect(reason(() => decodeBatch(encodeBatch({ ...header, hi: 500_000 }, bodies)))).toMatch(/too many records/);
    expect(reason(() => decodeBatch(encodeBatch({ ...header, dropped: [[7, 9]] }, bodies)))).toMatch(/do not fit/);
    expect(reason(() => decodeBatch(encodeBatch({ ...header, stream: -1 }, bodies)))).toMatch(
      /^SYNC_MESSAGE_INVALID Too small/,
    );
    expect(reason(() => decodeBatch(gzipSync("no newline")))).toMatch(/no header/);
    expect(reason(() => decodeBatch(gzipSync("not json\n")))).toMatch(/no JSON/);
    expect(reason(() => decodeBatch(Buffer.from("not gzip")))).toMatch(/unpacked/);
    expect(reason(() => decodeBatch(Buffer.alloc(98_305)))).toMatch(/too large/);
  });

  test("of a few bytes that would fill the memory is not unpacked", () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1_048_576));
    expect(bomb.byteLength).toBeLessThan(98_304);
    expect(reason(() => decodeBatch(bomb))).toMatch(/unpacked/);
  });
});
