import { expect, test } from "vitest";
import { Slots } from "../../../daemon/act/slots.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("those for whom there is no place wait in order, each tool apart", async () => {
  const slots = new Slots((tool) => (tool === "one" ? 1 : 2));
  const seen: string[] = [];
  const take = (tool: string, name: string): void => {
    const turn = slots.take(tool);
    if (turn === undefined) seen.push(name);
    else void turn.then(() => seen.push(`${name} waited`));
  };
  take("one", "a");
  take("one", "b");
  take("one", "c");
  take("two", "d");
  take("two", "e");
  await turn();
  expect(seen).toEqual(["a", "d", "e"]);
  slots.release("one");
  await turn();
  expect(seen.at(-1)).toBe("b waited");
  slots.release("one");
  await turn();
  slots.release("one");
  take("one", "f");
  await turn();
  expect(seen.slice(4)).toEqual(["c waited", "f"]);
});

test("whoever waits can be let go at once", async () => {
  const slots = new Slots(() => 1);
  expect(slots.take("one")).toBeUndefined();
  const waiting = [slots.take("one"), slots.take("one")];
  expect(waiting).not.toContain(undefined);
  slots.letGo();
  await Promise.all(waiting);
});
