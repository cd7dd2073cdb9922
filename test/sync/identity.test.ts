import { describe, expect, test } from "vitest";
import { Identity } from "../../sync/identity.ts";

const document = (session: unknown) => Buffer.from(JSON.stringify({ v: 1, kind: "state", state: "ready", session }));

function identity() {
  let told = 0;
  const made = new Identity(() => void told++);
  return { made, told: () => told };
}

describe("a gateway's name", () => {
  test("is disputed when a session of somebody else stands there after one of its own", () => {
    const { made, told } = identity();
    made.connected("a");
    made.heard(document("of an earlier process"));
    expect([made.isDisputed, told()]).toEqual([false, 0]);
    made.connected("b");
    made.heard(document("a"));
    expect([made.isDisputed, told()]).toEqual([false, 0]);
    made.heard(document("x"));
    expect([made.isDisputed, told()]).toEqual([true, 1]);
  });

  test("is told once for each dispute", () => {
    const { made, told } = identity();
    for (const session of ["a", "b", "c"]) {
      made.connected(session);
      made.heard(document("x"));
      made.takenOver();
    }
    expect(told()).toBe(1);
    made.settled();
    made.takenOver();
    expect(told()).toBe(2);
  });

  test("is not disputed by what is no state", () => {
    const { made, told } = identity();
    made.connected("a");
    made.connected("b");
    for (const payload of ["", "null", "7", "{", "{}"]) made.heard(Buffer.from(payload));
    made.heard(document(7));
    made.heard(document("x".repeat(5000)));
    expect([made.isDisputed, told()]).toEqual([false, 0]);
  });
});
