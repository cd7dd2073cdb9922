import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Arguments } from "../../daemon/act/tool.ts";
import { type Answered, Queries, type QueryTool } from "../../daemon/queries.ts";
import { askedBy, turn } from "../support/questions.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function queriesOf(options: Partial<QueryTool> = {}, isOff: () => boolean = () => false) {
  const { tool, asked } = askedBy(options);
  const told: string[] = [];
  const say = (_: object, message: string) => void told.push(message);
  const clock = { bootMs: () => Date.now() };
  const queries = new Queries({ clock, isOff, log: { warn: say, info: say } }, new Map([["tariff", tool]]));
  const heard: Answered[] = [];
  const ask = (given: Arguments = {}) => queries.ask("tariff", given, (answer) => heard.push(answer));
  return { queries, asked, heard, ask, told };
}

const answered = (value: unknown) => ({ ok: true, value, text: JSON.stringify(value) });

describe("an answer", () => {
  test("is used again while it is fresh, counted from when it was asked for, and by what was asked", async () => {
    const { asked, heard, ask } = queriesOf();
    expect(ask({ pump: "p1", n: 1 })).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1500);
    asked[0]?.answer(1);
    await turn();
    expect(heard).toEqual([answered(1)]);
    expect(ask({ n: 1, pump: "p1" })).toEqual(answered(1));
    expect(ask({ n: "1", pump: "p1" })).toBeUndefined();
    expect(ask({ n: 2, pump: "p1" })).toBeUndefined();
    expect(asked).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(8499);
    expect(ask({ n: 1, pump: "p1" })).toEqual(answered(1));
    await vi.advanceTimersByTimeAsync(1);
    expect(ask({ n: 1, pump: "p1" })).toBeUndefined();
  });

  test("goes to all who asked the same meanwhile, in their order", async () => {
    const { queries, asked } = queriesOf();
    const order: number[] = [];
    for (const at of [0, 1, 2]) queries.ask("tariff", { x: 1 }, () => order.push(at));
    expect(asked).toHaveLength(1);
    asked[0]?.answer(5);
    await turn();
    expect(order).toEqual([0, 1, 2]);
    expect(queries.waiting).toBe(0);
  });

  test("that comes after its time is of no use to those who asked, and is kept for the next", async () => {
    const { asked, heard, ask } = queriesOf();
    ask();
    await vi.advanceTimersByTimeAsync(2000);
    expect(heard).toEqual([{ ok: false, reason: "timeout" }]);
    expect(asked[0]?.signal.aborted).toBe(true);
    asked[0]?.answer(7);
    await turn();
    expect(heard).toHaveLength(1);
    expect(ask()).toEqual(answered(7));
  });

  test("is forgotten when there are too many", async () => {
    const { asked, ask } = queriesOf({ freshMs: 1e9 });
    const large = "x".repeat(4000);
    for (let at = 0; at < 300; at += 1) {
      ask({ at });
      asked[at]?.answer(large);
      await turn();
    }
    expect(ask({ at: 299 })).toEqual(answered(large));
    expect(ask({ at: 0 })).toBeUndefined();
  });
});

describe("a tool", () => {
  test("that fails five times in a row rests, then is tried by one question", async () => {
    const { asked, heard, ask, told } = queriesOf();
    for (let at = 0; at < 5; at += 1) {
      ask({ at });
      asked[at]?.fail();
      await turn();
    }
    expect(told).toEqual(["query tool failed too often and rests; rules that ask it do not fire"]);
    expect(ask()).toEqual({ ok: false, reason: "resting" });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(ask({ first: true })).toBeUndefined();
    expect(ask({ first: true })).toBeUndefined();
    expect(ask({ other: true })).toEqual({ ok: false, reason: "resting" });
    expect(asked).toHaveLength(6);
    asked[5]?.fail();
    await turn();
    expect(ask()).toEqual({ ok: false, reason: "resting" });
    await vi.advanceTimersByTimeAsync(30_000);
    ask({ again: true });
    asked[6]?.answer(1);
    await turn();
    expect(heard.at(-1)).toEqual(answered(1));
    expect(told).toEqual([expect.anything(), "query tool answers again"]);
    expect(ask({ other: true })).toBeUndefined();
  });

  test("that works now and then does not rest", async () => {
    const { asked, ask } = queriesOf({ freshMs: 1 });
    for (let at = 0; at < 20; at += 1) {
      expect(ask({ at })).toBeUndefined();
      if (at % 5 === 4) asked[at]?.answer(1);
      else asked[at]?.fail();
      await turn();
    }
  });

  test("is not blamed for a bus without a connection, nor for arguments that do not fit", async () => {
    const { asked, ask } = queriesOf();
    for (let at = 0; at < 20; at += 1) {
      expect(ask({ at })).toBeUndefined();
      asked[at]?.fail(at % 2 === 0 ? "notConnected" : "argument");
      await turn();
    }
  });

  test("that is switched off is not asked, and what it said before is not used", async () => {
    let isOff = false;
    const { asked, ask } = queriesOf({}, () => isOff);
    ask();
    asked[0]?.answer(1);
    await turn();
    isOff = true;
    expect(ask()).toEqual({ ok: false, reason: "off" });
    isOff = false;
    expect(ask()).toEqual(answered(1));
  });

  test("is asked so many things at once and no more", () => {
    const { asked, ask } = queriesOf();
    for (let at = 0; at < 32; at += 1) expect(ask({ at })).toBeUndefined();
    expect(ask({ at: 32 })).toEqual({ ok: false, reason: "busy" });
    expect(ask({ at: 3 })).toBeUndefined();
    expect(asked).toHaveLength(32);
  });
});

test("when it stops, everybody who waits is told, and nobody is asked any more", async () => {
  const { queries, asked, heard, ask } = queriesOf();
  ask();
  await queries.stop();
  expect(heard).toEqual([{ ok: false, reason: "stopped" }]);
  expect(asked[0]?.signal.aborted).toBe(true);
  expect(ask()).toEqual({ ok: false, reason: "stopped" });
  expect(vi.getTimerCount()).toBe(0);
});

test("whatever happens in whatever order, a question is under way once, everybody is told once, and only what is fresh is used", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("ask" as const), at: fc.nat(2) }),
    fc.record({ do: fc.constantFrom("answer" as const, "fail" as const), at: fc.nat(5) }),
    fc.record({ do: fc.constant("wait" as const), at: fc.constantFrom(1, 500, 1999, 2000, 9999, 10_000, 30_000) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { queries, asked } = queriesOf();
      /** When each question was asked, in the order of `asked`. */
      const since: number[] = [];
      const isOver = new Set<number>();
      let told = 0;
      let promised = 0;
      for (const { do: what, at } of steps) {
        if (what === "ask") {
          const before = asked.length;
          const known = queries.ask("tariff", { at }, () => {
            told += 1;
          });
          if (known === undefined) promised += 1;
          for (let made = before; made < asked.length; made += 1) since.push(Date.now());
          // A value says which request it answers.
          if (known?.ok === true) expect(Date.now() - (since[known.value as number] ?? 0)).toBeLessThan(10_000);
        } else if (what === "wait") await vi.advanceTimersByTimeAsync(at);
        else {
          if (what === "answer") asked[at]?.answer(at);
          else asked[at]?.fail();
          if (at < asked.length) isOver.add(at);
          await turn();
        }
        const open = asked.flatMap(({ given, signal }, index) =>
          isOver.has(index) || signal.aborted ? [] : [String(given["at"])],
        );
        expect(open).toEqual([...new Set(open)]);
        expect(queries.waiting).toBe(open.length);
      }
      await vi.advanceTimersByTimeAsync(2000);
      expect(queries.waiting).toBe(0);
      expect(told).toBe(promised);
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 300 },
  );
});
