import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AgentQuestions } from "../../daemon/agent-questions.ts";
import { Expressions } from "../../daemon/expressions.ts";
import { Pass, type PassOwner } from "../../daemon/pass.ts";
import { Queries } from "../../daemon/queries.ts";
import type { CompiledQuery } from "../../daemon/query-plan.ts";
import type { InferResult } from "../../models/inference.ts";
import { askedBy, turn } from "../support/questions.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ANSWER: InferResult = { ok: true, answer: { score: 1 }, batch: 1, queueUs: 0, inferUs: 0 };
const FAILED: InferResult = { ok: false, reason: "timeout" };

function questionsOf(texts: Readonly<Record<string, string>> = { tariff: "event.key" }) {
  const { tool, asked } = askedBy({ freshMs: 1 });
  const log = { warn: () => undefined, info: () => undefined };
  const clock = { bootMs: () => Date.now(), wallMs: () => Date.now() };
  const queries = new Queries({ clock, isOff: () => false, log }, new Map([["ask", tool]]));
  const expressions = new Expressions({
    fields: [{ name: "level", type: "number" }],
    features: [],
    answer: [],
    windowed: false,
    device: { name: "gw", labels: {} },
  });
  const list = Object.entries(texts).map(([name, text]): CompiledQuery => {
    const compiled = expressions.compile(text, "value");
    if (!compiled.ok) throw new Error(compiled.problems[0]?.message);
    return { name, tool: "ask", arguments: [["x", compiled.expression]] };
  });
  const notes: string[] = [];
  const ledger = { note: (what: string) => void notes.push(what) };
  const questions = new AgentQuestions({ clock, queries, ledger }, { expressions, list });
  const left: { pass: Pass; result: InferResult }[] = [];
  questions.onReady = (pass, result) => void left.push({ pass, result });
  return { questions, asked, left, notes };
}

function passOf(owner: PassOwner, key: string, deadlineMs = 5000, level: number | null = 1): Pass {
  return new Pass(owner, {
    model: undefined,
    row: [],
    priority: 2,
    deadlineBootMs: Date.now() + deadlineMs,
    key,
    eventId: undefined,
    eventTimeMs: 0,
    receivedMs: 0,
    openedBootMs: Date.now(),
    coverage: 0,
    windowCount: 0,
    fields: [level as number],
    trace: undefined,
    delivery: undefined,
  });
}

describe("a pass", () => {
  test("asks when it opens, all at once, and goes on when the model and all others have answered", async () => {
    const { questions, asked, left } = questionsOf({ tariff: "event.key + '-t'", forecast: "event.key + '-f'" });
    const pass = passOf(questions, "p1");
    questions.ask(pass);
    expect(asked.map(({ given }) => given["x"])).toEqual(["p1-t", "p1-f"]);
    asked[1]?.answer({ rain: true });
    await turn();
    pass.settle(ANSWER);
    expect(left).toEqual([]);
    asked[0]?.answer(0.3);
    await turn();
    expect(left).toEqual([{ pass, result: ANSWER }]);
    expect(pass.queries).toEqual({ tariff: 0.3, forecast: { rain: true } });
    expect(pass.queriesText).toBe('{"tariff":0.3,"forecast":{"rain":true}}');
    expect(vi.getTimerCount()).toBe(0);
  });

  test("does not wait for the model's answer twice: what is known before it is used at once", async () => {
    const { questions, asked, left } = questionsOf();
    const pass = passOf(questions, "p1");
    questions.ask(pass);
    asked[0]?.answer(1);
    await turn();
    expect(left).toEqual([]);
    pass.settle(ANSWER);
    expect(left).toHaveLength(1);
  });

  test("waits until its tool gives up, and no longer than its own deadline", async () => {
    const { questions, left, notes } = questionsOf();
    const patient = passOf(questions, "a");
    const hasty = passOf(questions, "b", 300);
    for (const pass of [patient, hasty]) {
      questions.ask(pass);
      pass.settle(ANSWER);
    }
    await vi.advanceTimersByTimeAsync(299);
    expect(left).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(left.map(({ pass }) => pass.key)).toEqual(["b"]);
    await vi.advanceTimersByTimeAsync(1700);
    expect(left.map(({ pass }) => pass.key)).toEqual(["b", "a"]);
    expect(notes).toEqual(["query:tariff:late", "query:tariff:timeout"]);
    expect(hasty.queries).toEqual({});
    expect(hasty.queriesText).toBeUndefined();
  });

  test("that the model answered too late does not wait at all", async () => {
    const { questions, left } = questionsOf();
    const pass = passOf(questions, "a", 300);
    questions.ask(pass);
    await vi.advanceTimersByTimeAsync(400);
    pass.settle(ANSWER);
    expect(left).toHaveLength(1);
  });

  test("without a model's answer waits for nothing: no rule is asked", () => {
    const { questions, left, notes } = questionsOf();
    const pass = passOf(questions, "a");
    questions.ask(pass);
    pass.settle(FAILED);
    expect(left).toEqual([{ pass, result: FAILED }]);
    expect(pass.queries).toBeUndefined();
    expect(notes).toEqual([]);
  });

  test("whose argument has no value asks nothing for it", () => {
    const { questions, asked, left, notes } = questionsOf({ tariff: "event.fields.level" });
    const pass = passOf(questions, "a", 5000, null);
    questions.ask(pass);
    pass.settle(ANSWER);
    expect(asked).toEqual([]);
    expect(left).toHaveLength(1);
    expect(notes).toEqual(["query:tariff:argument"]);
  });

  test("asks with no text that is too long", () => {
    const { questions, asked } = questionsOf();
    questions.ask(passOf(questions, "k".repeat(1025)));
    expect(asked).toEqual([]);
    questions.ask(passOf(questions, "k".repeat(1024)));
    expect(asked).toHaveLength(1);
  });
});

test("passes of one key leave in the order in which they came, those of others do not wait for them", async () => {
  const { questions, asked, left } = questionsOf({ tariff: "event.fields.level" });
  const passes = [passOf(questions, "a", 5000, 1), passOf(questions, "a", 5000, 2), passOf(questions, "b", 5000, 3)];
  for (const pass of passes) {
    questions.ask(pass);
    pass.settle(ANSWER);
  }
  asked[1]?.answer(1);
  asked[2]?.answer(1);
  await turn();
  expect(left.map(({ pass }) => pass)).toEqual([passes[2]]);
  asked[0]?.answer(1);
  await turn();
  expect(left.map(({ pass }) => pass)).toEqual([passes[2], passes[0], passes[1]]);
});

test("only so many passes are held back, and each makes room when it leaves", () => {
  const { questions } = questionsOf();
  const room = questions.room();
  const passes = Array.from({ length: room }, () => passOf(questions, "a"));
  for (const pass of passes) questions.ask(pass);
  expect(questions.room()).toBe(0);
  passes[0]?.settle(FAILED);
  expect(questions.room()).toBe(1);
});

test("a pass that is opened while another one leaves comes after it", async () => {
  const { questions, asked, left } = questionsOf();
  const first = passOf(questions, "a");
  const second = passOf(questions, "a");
  questions.onReady = (pass, result) => {
    left.push({ pass, result });
    if (pass !== first) return;
    questions.ask(second);
    second.settle(FAILED);
  };
  questions.ask(first);
  first.settle(ANSWER);
  asked[0]?.answer(1);
  await turn();
  expect(left.map(({ pass }) => pass)).toEqual([first, second]);
});

test("whatever is answered when, every pass leaves once, in time and in its key's order", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("open" as const), at: fc.nat(5) }),
    fc.record({ do: fc.constantFrom("model" as const, "fails" as const, "answer" as const), at: fc.nat(20) }),
    fc.record({ do: fc.constant("wait" as const), at: fc.integer({ min: 1, max: 700 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const { questions, asked, left } = questionsOf({ one: "event.key", two: "event.fields.level" });
      const opened: Pass[] = [];
      const settledAt = new Map<Pass, number>();
      const leftAt = new Map<Pass, number>();
      questions.onReady = (pass, result) => {
        left.push({ pass, result });
        leftAt.set(pass, Date.now());
      };
      const settle = (pass: Pass, result: InferResult): void => {
        if (settledAt.has(pass)) return;
        settledAt.set(pass, Date.now());
        pass.settle(result);
      };
      for (const { do: what, at } of steps) {
        if (what === "open") {
          const pass = passOf(questions, "abc"[at % 3] as string, 1000, at);
          opened.push(pass);
          questions.ask(pass);
        } else if (what === "wait") await vi.advanceTimersByTimeAsync(at);
        else if (what === "answer") asked[at]?.answer(at);
        else if (opened[at] !== undefined) settle(opened[at], what === "model" ? ANSWER : FAILED);
        await turn();
      }
      for (const pass of opened) settle(pass, ANSWER);
      await vi.advanceTimersByTimeAsync(1000);
      expect(left).toHaveLength(opened.length);
      for (const key of "abc") {
        const ofKey = opened.filter((pass) => pass.key === key);
        expect(left.map(({ pass }) => pass).filter((pass) => pass.key === key)).toEqual(ofKey);
        for (const [at, pass] of ofKey.entries()) {
          const inTime = ofKey.slice(0, at + 1).every((one) => (settledAt.get(one) ?? 0) <= one.deadlineBootMs);
          if (inTime) expect(leftAt.get(pass)).toBeLessThanOrEqual(pass.deadlineBootMs);
        }
      }
      expect(questions.room()).toBe(512);
    }),
    { numRuns: 200 },
  );
});
