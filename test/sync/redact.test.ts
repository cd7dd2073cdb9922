import { describe, expect, test } from "vitest";
import { PRIVATE, redact } from "../../sync/redact.ts";

const decision = {
  kind: "decision",
  inputs: { badge: "A-4711", weight_mean: 81.25, temperature: 21 },
  fields: { weight: 81.25 },
  private: ["badge", "weight", "weight_mean"],
  rules: [
    { id: "a", why: "condition false" },
    { id: "b", why: "error: Unable to convert string 'A-47' to bool" },
    { id: "c", why: "error: event.fields.badge has no value" },
    { id: "d", why: "error: double divide by zero" },
  ],
  answer: { score: 0.5 },
  reason: "outputInvalid: 81.25 is too much",
};

describe("a record that leaves the gateway", () => {
  test("shows no private input or field, and no error that quotes one", () => {
    const { body, redacted } = redact(decision);
    expect(redacted).toBe(true);
    expect(body.inputs).toEqual({ badge: PRIVATE, weight_mean: PRIVATE, temperature: 21 });
    expect(body.fields).toEqual({ weight: PRIVATE });
    expect(body.rules.map((rule) => rule.why)).toEqual([
      "condition false",
      "error: (private)",
      "error: event.fields.badge has no value",
      "error: double divide by zero",
    ]);
    expect(body.reason).toBe("outputInvalid: (private) is too much");
    expect(body.answer).toEqual({ score: 0.5 });
    expect(JSON.stringify(body)).not.toMatch(/4711|81\.25/);
  });

  test("keeps what it was made from", () => {
    redact(decision);
    expect(decision.inputs.badge).toBe("A-4711");
  });

  test("shows no private argument, target or context of an action", () => {
    const { body } = redact({
      kind: "proposal",
      tool: "open-door",
      target: "door/A-4711",
      arguments: { badge: "A-4711", door: "7" },
      private: ["badge"],
      reason: "limit: A-4711 had its turn",
      context: { event: { fields: { badge: "A-4711", door: 7 } }, features: { n: 1 } },
    });
    expect(body).toMatchObject({
      target: "door/(private)",
      arguments: { badge: PRIVATE, door: "7" },
      reason: "limit: (private) had its turn",
      context: { event: { fields: { badge: PRIVATE, door: 7 } }, features: { n: 1 } },
    });
    expect(JSON.stringify(body)).not.toContain("4711");
  });

  test("is the same object where nothing is private", () => {
    const plain = { kind: "latch", why: "A-4711" };
    expect(redact(plain)).toEqual({ body: plain, redacted: false });
    expect(redact(plain).body).toBe(plain);
    expect(redact({ ...plain, private: [] }).redacted).toBe(false);
  });
});
