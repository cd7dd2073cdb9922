import fc from "fast-check";
import { expect, it } from "vitest";
import { OrderedReceipts } from "../../../daemon/bus/ordered-receipts.ts";

it("settles each item once, in order of arrival, whatever the order of release", () => {
  const run = fc.array(fc.oneof(fc.constant("add" as const), fc.nat({ max: 200 })), { maxLength: 300 });
  fc.assert(
    fc.property(run, (steps) => {
      const settled: number[] = [];
      const queue = new OrderedReceipts<number>((item) => settled.push(item));
      const receipts: { release(): void }[] = [];
      const released = new Set<number>();
      for (const step of steps) {
        if (step === "add") receipts.push(queue.add(receipts.length));
        else if (receipts.length > 0) {
          const at = step % receipts.length;
          released.add(at);
          receipts[at]?.release();
        }
        let front = 0;
        while (released.has(front)) front += 1;
        expect(settled).toEqual(Array.from({ length: front }, (_, at) => at));
        expect(queue.held).toBe(receipts.length - front);
      }
    }),
  );
});

it("settles nothing after it was closed, also when settling closes it", () => {
  const settled: number[] = [];
  const queue = new OrderedReceipts<number>((item) => {
    settled.push(item);
    if (item === 1) queue.close();
  });
  const receipts = [0, 1, 2].map((item) => queue.add(item));
  receipts[2]?.release();
  receipts[1]?.release();
  receipts[0]?.release();
  expect(settled).toEqual([0, 1]);
  expect(queue.held).toBe(0);
});
