import { describe, expect, test } from "vitest";
import { SendQueue } from "../../sync/send-queue.ts";

function queue(most: () => number) {
  const sent: string[] = [];
  const made = new SendQueue(
    ({ topic }) => sent.push(topic),
    () => most(),
  );
  const push = (topic: string, payload = "x") => made.push({ topic, payload, qos: 1 });
  return { made, sent, push };
}

describe("messages to a broker", () => {
  test("are no more at once than it takes, and keep their order", async () => {
    const { made, sent, push } = queue(() => 2);
    const all = ["a", "b", "c", "d"].map((topic) => push(topic));
    expect(sent).toEqual(["a", "b"]);
    made.answered(2, 0x10);
    expect(sent).toEqual(["a", "b", "c"]);
    made.answered(1, 0);
    made.answered(4, 0x87);
    made.answered(3, 0);
    expect(await Promise.all(all)).toEqual([0, 0x10, 0, 0x87]);
    expect(made.size).toBe(0);
  });

  test("do not take an answer twice, nor one to nothing", () => {
    const { made, push } = queue(() => 1);
    void push("a");
    expect([made.answered(9, 0), made.answered(1, 0), made.answered(1, 0)]).toEqual([false, true, false]);
  });

  test("fail with the connection, also those that were never sent", async () => {
    const { made, push } = queue(() => 1);
    const all = ["a", "b"].map((topic) => push(topic));
    made.abandon(() => new Error("gone"));
    expect((await Promise.allSettled(all)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(made.size).toBe(0);
  });

  test("tell the largest that is under way", () => {
    const { made, push } = queue(() => 2);
    expect(made.largest).toBeUndefined();
    void push("a", "123");
    void push("b", "12345");
    void push("c", "1234567");
    expect(made.largest).toBe(24 + 1 + 5);
  });
});
