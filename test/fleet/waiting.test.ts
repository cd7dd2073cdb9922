import { expect, test } from "vitest";
import { Waiting } from "../../fleet/waiting.ts";

const message = (gateway: string, n: number) => ({ gateway, what: String(n), payload: new Uint8Array() });

function taken(waiting: Waiting): string[] {
  const all: string[] = [];
  for (let next = waiting.take(); next !== undefined; next = waiting.take()) all.push(`${next.gateway}${next.what}`);
  return all;
}

test("serves gateways in turn, and each in the order in which it sent", () => {
  const waiting = new Waiting(10);
  for (const n of [1, 2, 3]) waiting.add(message("a", n));
  waiting.add(message("b", 1));
  for (const n of [1, 2]) waiting.add(message("c", n));
  expect(waiting.size).toBe(6);
  expect(taken(waiting)).toEqual(["a1", "b1", "c1", "a2", "c2", "a3"]);
  expect(waiting.size).toBe(0);
});

test("takes no more of one gateway than its share, and has room again when one was served", () => {
  const waiting = new Waiting(2);
  expect([1, 2, 3].map((n) => waiting.add(message("a", n)))).toEqual([true, true, false]);
  expect(waiting.add(message("b", 1))).toBe(true);
  waiting.take();
  expect(waiting.add(message("a", 4))).toBe(true);
  expect(taken(waiting)).toEqual(["b1", "a2", "a4"]);
});
