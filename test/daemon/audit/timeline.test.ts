import { expect, test } from "vitest";
import { Story } from "../../../daemon/audit/story.ts";
import { createIds } from "../../../daemon/ids.ts";
import type { Page, RecordFilter, StoredRow } from "../../../daemon/store/queries.ts";
import { recordKinds } from "../../../sync/kinds.ts";
import type { RecordKind } from "../../../sync/records.ts";

const newId = createIds();
const START = Date.UTC(2026, 10, 28);
const POLICY = "0123456789abcdef";

/** A log in memory, asked as the one on disk is. */
class FakeLog {
  readonly rows: StoredRow[] = [];
  pages = 0;

  add(kind: RecordKind, body: Record<string, unknown>, id = this.idAt()): string {
    const n = this.rows.length + 1;
    const text = JSON.stringify({ v: 1, kind, id, ...body });
    const wallMs = Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
    this.rows.push({ n, epoch: 1, stream: 0, seq: n, kind: recordKinds[kind], agent: 0, wallMs, body: text });
    return id;
  }

  idAt(): string {
    return newId(START + this.rows.length * 1000);
  }

  async page(filter: RecordFilter): Promise<Page> {
    this.pages += 1;
    const { kinds, sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER, afterN = 0, beforeN = 1e9 } = filter;
    const codes = new Set((kinds ?? []).map((kind) => recordKinds[kind] as number));
    const all = this.rows.filter(
      ({ n, kind, wallMs }) => codes.has(kind) && n > afterN && n < beforeN && wallMs >= sinceMs && wallMs <= untilMs,
    );
    if (filter.newestFirst) all.reverse();
    // Short pages, as of a log that is large.
    const rows = all.slice(0, Math.min(3, filter.limit));
    return { rows, next: rows.length < all.length ? rows.at(-1)?.n : undefined };
  }
}

const action = {
  ...{ agent: "doors", key: "d7", rule: "too-warm", tool: "close-door", target: "d7", class: "consequential" },
  ...{ arguments: { door: "d7", badge: "A-4711" }, private: ["badge"], policy: POLICY },
  verdict: { effect: "requireApproval", rules: ["ask"] },
};

function someLog(): FakeLog {
  const log = new FakeLog();
  log.add("epochStart", { ordinal: 1, reason: "first", notes: [] });
  log.add("mode", { scope: "gateway", from: "observe", to: "approve", by: "jane", at: START });
  const proposal = log.add("proposal", { ...action, state: "awaitingApproval" });
  log.add("approval", { proposal, decision: "approved", by: "joe", reason: "seen it", at: START });
  log.add("intent", { ...action, proposal });
  log.add("outcome", { intent: proposal, agent: "doors", state: "sent" });
  log.add("outcome", { intent: proposal, agent: "doors", state: "verified", final: true });
  log.add("latch", { latched: true, why: "somebody is in there", by: "jane", at: START });
  log.add("proposal", { ...action, tool: "fan", agent: "air", state: "denied", reason: "latched" });
  log.add("decision", { agent: "doors" });
  return log;
}

test("tells who did what, when, why and under which policy", async () => {
  const entries = await new Story(someLog(), {}).newest(50);
  expect(entries.map(({ who, what, why, person }) => [who, what, why, person])).toEqual([
    ["holdfast", "start 1: first", undefined, undefined],
    ["jane", "gateway: observe → approve", undefined, "jane"],
    ["too-warm of doors", "proposed close-door d7: awaitingApproval (door d7, badge (private))", undefined, undefined],
    ["joe", "approved: close-door d7", "seen it", "joe"],
    ["too-warm of doors", "does close-door d7 (door d7, badge (private))", undefined, undefined],
    ["holdfast", "close-door d7: sent", undefined, undefined],
    ["holdfast", "close-door d7: verified", undefined, undefined],
    ["jane", "stopped all effects", "somebody is in there", "jane"],
    ["too-warm of air", "proposed fan d7: denied (door d7, badge (private))", "latched", undefined],
  ]);
  const proposed = entries[2];
  expect(proposed).toMatchObject({ policy: POLICY, verdict: { effect: "requireApproval", rules: ["ask"] } });
  expect(new Set(entries.slice(2, 7).map((entry) => entry.action))).toEqual(new Set([proposed?.id]));
  expect(JSON.stringify(entries)).not.toContain("4711");
});

test("finds the action that an answer or an outcome is about, whichever way it reads", async () => {
  const log = someLog();
  const newest = await new Story(log, { tool: "close-door" }).newest(2);
  expect(newest.map((entry) => entry.what)).toEqual(["close-door d7: sent", "close-door d7: verified"]);
  const all = [];
  for await (const entries of new Story(log, { tool: "close-door" }).all()) all.push(...entries);
  expect(all.map((entry) => entry.kind)).toEqual(["proposal", "approval", "intent", "outcome", "outcome"]);
});

test("finds only what a person did, or what an agent proposed", async () => {
  const log = someLog();
  const jane = await new Story(log, { person: "jane" }).newest(50);
  expect(jane.map((entry) => entry.kind)).toEqual(["mode", "latch"]);
  const air = await new Story(log, { agent: "air" }).newest(50);
  expect(air.map((entry) => entry.tool)).toEqual(["fan"]);
});

test("looks for an action that is not there any more only once", async () => {
  const log = new FakeLog();
  const gone = newId(START - 1000);
  for (let at = 0; at < 9; at++) log.add("outcome", { intent: gone, agent: "doors", state: "sent" });
  const entries = await new Story(log, {}).newest(50);
  expect(entries).toHaveLength(9);
  expect(entries[0]?.what).toBe(`action ${gone}: sent`);
  expect(log.pages).toBe(4);
});

test("goes on over a line that is no record", async () => {
  const log = someLog();
  log.rows[1] = { ...(log.rows[1] as StoredRow), body: "{" };
  expect(await new Story(log, {}).newest(50)).toHaveLength(8);
});
