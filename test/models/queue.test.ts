import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BatchQueue, type Priority, type Waiting } from "../../models/queue.ts";

interface Item extends Waiting {
  readonly id: number;
  readonly model: number;
  readonly priority: Priority;
}

let ids = 0;
const item = (model: number, priority: Priority, deadlineMs = 1000, alone = false): Item => ({
  id: ids++,
  model,
  priority,
  deadlineMs,
  alone,
  order: 0,
});
const always = (): boolean => true;
const rows = (n: number) => (): number => n;

function put(queue: BatchQueue<Item>, ...items: Item[]): void {
  for (const one of items) expect(queue.push(one.model, one.priority, one)).toBe(true);
}

describe("who runs next", () => {
  it("is of the highest priority, then of the model that has waited longest", () => {
    const queue = new BatchQueue<Item>(100);
    put(queue, item(1, 2), item(2, 0), item(1, 0), item(2, 0), item(3, 3));
    const taken = [0, 1, 2, 3].map(() => queue.take(0, always, rows(64), []));
    expect(taken.map((batch) => [batch?.model, batch?.items.map((one) => one.priority)])).toEqual([
      [2, [0, 0]],
      [1, [0]],
      [1, [2]],
      [3, [3]],
    ]);
    expect(queue.take(0, always, rows(64), [])).toBeUndefined();
  });

  it("takes all that is queued for the model up to its batch", () => {
    const queue = new BatchQueue<Item>(1000);
    for (let i = 0; i < 150; i++) put(queue, item(1, 1));
    expect([0, 1, 2].map(() => queue.take(0, always, rows(64), [])?.items.length)).toEqual([64, 64, 22]);
  });

  it("passes over models that are not ready", () => {
    const queue = new BatchQueue<Item>(10);
    put(queue, item(1, 0), item(2, 3));
    expect(queue.peek((model) => model === 2)).toBe(2);
    expect(queue.take(0, (model) => model === 2, rows(64), [])?.model).toBe(2);
    expect(queue.size).toBe(1);
  });

  it("leaves out what is too late, and says so", () => {
    const queue = new BatchQueue<Item>(10);
    const late = item(1, 1, 50);
    put(queue, late, item(1, 1, 200));
    const expired: Item[] = [];
    expect(queue.take(50, always, rows(64), expired)?.items.length).toBe(1);
    expect(expired).toEqual([late]);
  });

  it("runs alone what failed in a batch", () => {
    const queue = new BatchQueue<Item>(10);
    put(queue, item(1, 1), item(1, 1, 1000, true), item(1, 1, 1000, true), item(1, 1), item(1, 1));
    expect([0, 1, 2, 3].map(() => queue.take(0, always, rows(64), [])?.items.length)).toEqual([1, 1, 1, 2]);
  });

  it("puts back ahead of the others, beyond the limit too", () => {
    const queue = new BatchQueue<Item>(2);
    const [a, b, c, d] = [item(1, 1), item(2, 1), item(1, 1), item(1, 1)];
    put(queue, b, c);
    expect(queue.push(1, 1, item(1, 1))).toBe(false);
    queue.putBack(1, 1, [a, d]);
    expect(queue.room(1)).toBe(0);
    expect(queue.take(0, always, rows(2), [])?.items).toEqual([a, d]);
    expect(queue.take(0, always, rows(2), [])?.items).toEqual([b]);
  });

  it("loses nothing and gives nothing twice, in any order of events", () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant("push" as const),
        model: fc.nat(2),
        priority: fc.nat(3),
        deadlineMs: fc.nat(100),
        alone: fc.boolean(),
      }),
      fc.record({ do: fc.constant("take" as const), rows: fc.integer({ min: 1, max: 5 }), back: fc.boolean() }),
      fc.record({ do: fc.constant("expire" as const), stepMs: fc.nat(10) }),
      fc.record({ do: fc.constant("drain" as const), model: fc.option(fc.nat(2), { nil: undefined }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const queue = new BatchQueue<Item>(8);
        const waiting = new Set<Item>();
        let nowMs = 0;
        const leave = (items: readonly Item[]): void => {
          for (const one of items) expect(waiting.delete(one)).toBe(true);
        };
        for (const s of steps) {
          const out: Item[] = [];
          if (s.do === "push") {
            const one = item(s.model, s.priority as Priority, s.deadlineMs, s.alone);
            const inPriority = [...waiting].filter((other) => other.priority === one.priority).length;
            expect(queue.push(s.model, one.priority, one)).toBe(inPriority < 8);
            if (inPriority < 8) waiting.add(one);
          } else if (s.do === "take") {
            const urgent = Math.min(...[...waiting].filter((one) => one.deadlineMs > nowMs).map((one) => one.priority));
            const batch = queue.take(nowMs, always, rows(s.rows), out);
            leave(out);
            expect(out.every((one) => one.deadlineMs <= nowMs)).toBe(true);
            expect(batch === undefined ? Number.POSITIVE_INFINITY : batch.items[0]?.priority).toBe(urgent);
            leave(batch?.items ?? []);
            expect(batch?.items.length ?? 0).toBeLessThanOrEqual(s.rows);
            expect(new Set(batch?.items.map((one) => `${one.model} ${one.priority}`)).size).toBeLessThanOrEqual(1);
            if (batch !== undefined && batch.items.length > 1) expect(batch.items.some((one) => one.alone)).toBe(false);
            if (s.back && batch !== undefined) {
              queue.putBack(batch.model, urgent as Priority, batch.items);
              for (const one of batch.items) waiting.add(one);
            }
          } else if (s.do === "expire") {
            nowMs += s.stepMs;
            queue.expire(nowMs, out);
            leave(out);
            expect([...waiting].every((one) => one.deadlineMs > nowMs)).toBe(true);
          } else {
            queue.drain(s.model, out);
            leave(out);
          }
          expect(queue.size).toBe(waiting.size);
        }
      }),
      { numRuns: 300 },
    );
  });
});
