import { expect, test } from "vitest";
import { kindName, recordKinds } from "../../sync/kinds.ts";
import { decisionSchema, parseRecord, recordSchemas } from "../../sync/records.ts";

const id = "0190b5a0-0000-7000-8000-000000000000";

const decision = {
  v: 1,
  kind: "decision",
  id,
  agent: "pump-guard",
  key: "p1",
  eventId: "m-1",
  eventTime: 1,
  receivedAt: 2,
  decidedAt: 3,
  generation: "0123456789abcdef",
  arm: "incumbent",
  model: { name: "pump-anomaly", version: 2, digest: "0123456789abcdef" },
  inputs: { vib_rms: 7.25, state: "on", open: true },
  window: { coverage: 0.9, count: 54 },
  state: { "stop-on-anomaly": { since: 12 } },
  answer: { score: 0.93, parts: [0.1, 0.2] },
  rules: [{ id: "stop-on-anomaly", fired: true, why: "held for 5 s" }],
  latencyUs: [10, 200, 30],
  bootMs: 5,
  clock: "synced",
};

test("numbers of kinds stay what they were", () => {
  expect(recordKinds).toEqual({
    decision: 1,
    intent: 2,
    outcome: 3,
    approval: 4,
    mode: 5,
    latch: 6,
    drop: 7,
    rollup: 8,
    health: 9,
    transition: 10,
    epochStart: 11,
    epochClose: 12,
    chainHead: 13,
    feedback: 14,
    profile: 15,
    proposal: 16,
    clockSync: 17,
    support: 18,
  });
  for (const [name, code] of Object.entries(recordKinds)) expect(kindName(code)).toBe(name);
  expect(kindName(99)).toBeUndefined();
});

test("each kind has a schema of its own kind", () => {
  expect(Object.keys(recordSchemas)).toEqual(Object.keys(recordKinds));
});

test("reads a decision, and keeps what a newer version says more", () => {
  const line = JSON.stringify({ ...decision, energy: { joules: 1 } });
  expect(parseRecord(line)).toEqual({ kind: "decision", body: { ...decision, energy: { joules: 1 } } });
});

test("a decision without model, window or answer is one too", () => {
  const { model: _m, window: _w, answer: _a, state: _s, eventId: _e, ...bare } = decision;
  expect(decisionSchema.safeParse({ ...bare, source: "fallback", reason: "hostDown", rules: [] }).success).toBe(true);
});

test.each([
  ["not JSON", "{", "SYNC_RECORD_INVALID"],
  ["a number", "7", "SYNC_RECORD_UNKNOWN"],
  ["a kind of tomorrow", '{"v":1,"kind":"dream"}', "SYNC_RECORD_UNKNOWN"],
  ["a name of every object", '{"v":1,"kind":"constructor"}', "SYNC_RECORD_UNKNOWN"],
  ["a decision without rules", JSON.stringify({ ...decision, rules: undefined }), "SYNC_RECORD_INVALID"],
  ["another version", JSON.stringify({ ...decision, v: 2 }), "SYNC_RECORD_INVALID"],
])("refuses %s with its code", (_what, line, code) => {
  expect(() => parseRecord(line)).toThrow(expect.objectContaining({ code }));
});
