import { join } from "node:path";
import { expect, test } from "vitest";
import { eachReading } from "../../../daemon/store/tables/reading.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { parseRecord } from "../../../sync/records.ts";
import { inside, MovableClock, openTestStore, put, temporaryDirectory } from "./support.ts";

test("tells that records are durable only when another connection can read them", async () => {
  const { store, directory } = await openTestStore();
  put(store, 3);
  const rows = await new Promise((resolve) => {
    store.onDurable(() =>
      resolve(inside(directory, (db) => db.prepare("SELECT count(*) FROM record WHERE kind = 1").pluck().get())),
    );
    store.commitNow();
  });
  expect(rows).toBe(3);
});

test("calls back in the order in which things were put in", async () => {
  const { store } = await openTestStore();
  const order: number[] = [];
  for (let at = 0; at < 2000; at++) {
    put(store, 1);
    store.onDurable(() => order.push(at));
  }
  await store.flush();
  expect(order).toEqual(Array.from({ length: 2000 }, (_, at) => at));
});

test("a sender that waits for what is on its way does not hurry what comes after it", async () => {
  const { store } = await openTestStore(undefined, { commitDelayMs: 60_000 });
  put(store, 1);
  const first = store.flush();
  await new Promise((resolve) => setImmediate(resolve));
  store.senderWaits();
  put(store, 1);
  let isDurable = false;
  store.onDurable(() => {
    isDurable = true;
  });
  await first;
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(isDurable).toBe(false);
  await store.flush();
  expect(isDurable).toBe(true);
});

test("senders that wait do not undo a long delay: what comes meanwhile is one commit", async () => {
  const { store } = await openTestStore(undefined, { commitDelayMs: 500 });
  const before = (await store.figures()).commits;
  const durable: Promise<void>[] = [];
  for (let at = 0; at < 5; at++) {
    put(store, 1);
    durable.push(new Promise((resolve) => store.onDurable(resolve)));
    store.senderWaits();
    // Longer than a sender that waits for its acknowledgement is silent.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await Promise.all(durable);
  expect((await store.figures()).commits - before).toBe(1);
});

test("gives a sequence without holes to each stream, and a chain that verifies", async () => {
  const { store, directory } = await openTestStore();
  for (let round = 0; round < 20; round++) {
    put(store, 37, {}, 1);
    put(store, 11, {}, 2);
    if (round % 5 === 0) store.minute();
    await store.flush();
  }
  await store.stop();
  const seqs = inside(directory, (db) =>
    db.prepare("SELECT stream, count(*) AS rows, max(seq) AS last FROM record GROUP BY stream").all(),
  ) as { stream: number; rows: number; last: number }[];
  for (const one of seqs) expect(one.rows).toBe(one.last);
  expect(verifyLog({ directory })).toMatchObject({ ok: true, epochs: 1 });
});

test("writes only records that their schemas accept", async () => {
  const { store, directory, clock } = await openTestStore();
  put(store, 3);
  await store.flush();
  clock.aheadMs = 61_000;
  store.minute();
  await store.stop();
  const bodies = inside(directory, (db) =>
    db.prepare("SELECT body FROM record WHERE kind <> 1").pluck().all(),
  ) as string[];
  const kinds = bodies.map((body) => parseRecord(body).kind);
  expect(new Set(kinds)).toEqual(new Set(["epochStart", "rollup", "chainHead", "epochClose"]));
});

test("holds back when more is pending than it may keep in memory", async () => {
  const { store } = await openTestStore();
  const room = store.room();
  expect(room).toBe(8192);
  put(store, 8192);
  expect(store.room()).toBe(0);
  await store.flush();
  expect(store.room()).toBe(room);
});

test("bodies of many bytes count against the room as well", async () => {
  const { store } = await openTestStore();
  put(store, 20, { text: "x".repeat(900_000) });
  expect(store.room()).toBe(0);
  await store.flush();
  expect(store.room()).toBe(8192);
});

test("counts exactly over minutes, restarts and agents", async () => {
  const directory = temporaryDirectory();
  const clock = new MovableClock();
  const first = await openTestStore(directory, {}, clock);
  put(first.store, 100, {}, 1, clock.wallMs());
  first.store.count("valve", "late", 7, clock.wallMs());
  await first.store.flush();
  clock.aheadMs = 61_000;
  put(first.store, 50, {}, 1, clock.wallMs());
  first.store.minute();
  first.store.count("", "starts", 1, clock.wallMs());
  await first.store.stop();
  const second = await openTestStore(directory, {}, clock);
  put(second.store, 5, {}, 1, clock.wallMs());
  await second.store.flush();
  const { totals } = await second.store.restore();
  expect(totals).toEqual({ pump: { decided: 155 }, valve: { late: 7 }, "": { starts: 1 } });
  await second.store.stop();
  const rollups = inside(directory, (db) =>
    db.prepare("SELECT body FROM record WHERE kind = 8").pluck().all(),
  ) as string[];
  const summed = rollups.map((body) => JSON.parse(body)).filter((body) => body.agent === "pump");
  expect(summed.reduce((sum, body) => sum + body.counters.decided, 0)).toBe(155);
});

test("a roll-up names the first and the last record of its minute", async () => {
  const { store, directory, clock } = await openTestStore();
  const startMs = Math.ceil(Date.now() / 60_000) * 60_000;
  put(store, 10, {}, 1, startMs);
  put(store, 20, {}, 1, startMs + 60_000);
  await store.flush();
  clock.aheadMs = 600_000;
  store.minute();
  await store.stop();
  const found = inside(directory, (db) => ({
    rollups: (db.prepare("SELECT body FROM record WHERE kind = 8 ORDER BY n").pluck().all() as string[]).map((body) =>
      JSON.parse(body),
    ),
    minutes: db
      .prepare("SELECT min(n) AS firstN, max(n) AS lastN FROM record WHERE kind = 1 GROUP BY wallMs ORDER BY wallMs")
      .all(),
  }));
  expect(found.rollups.map(({ firstN, lastN }) => ({ firstN, lastN }))).toEqual(found.minutes);
});

test("restores the reading journal, checkpoints, rule states and seen ids", async () => {
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory);
  const agent = store.agentNumber("pump");
  const other = store.agentNumber("valve");
  for (let at = 0; at < 300; at++) {
    store.project({
      kind: "reading",
      agent,
      key: `k${at % 3}`,
      timeMs: at,
      arrivalMs: at + 1,
      values: [at / 3, at % 2 ? null : "on", true],
    });
    store.project({ kind: "reading", agent: other, key: "one", timeMs: at, arrivalMs: at, values: [at] });
    store.project({ kind: "seenId", agent, id: `event-${at}` });
    if (at % 50 === 0) await store.flush();
  }
  store.project({ kind: "windowCheckpoint", agent, key: "a", blob: new Uint8Array([1, 2, 3]) });
  store.project({ kind: "windowCheckpoint", agent, key: "b", blob: "text" });
  store.project({ kind: "keyGone", agent, key: "b" });
  store.project({ kind: "ruleState", agent, key: "a", rule: "hot", state: '{"since":1}' });
  store.project({ kind: "ruleState", agent, key: "a", rule: "hot", state: '{"since":2}' });
  store.project({ kind: "ruleState", agent, key: "a", rule: "cold", state: "{}" });
  store.project({ kind: "ruleState", agent, key: "a", rule: "cold", state: null });
  store.project({ kind: "meta", name: "note", value: "yes" });
  store.project({ kind: "pruneReadings", agent: other, beforeMs: 150 });
  await store.stop();

  const again = await openTestStore(directory);
  const restored = await again.store.restore();
  const readings: unknown[] = [];
  eachReading(restored.readings, agent, (key, timeMs, arrivalMs, values) =>
    readings.push([key, timeMs, arrivalMs, values]),
  );
  expect(readings).toHaveLength(300);
  expect(readings[4]).toEqual(["k1", 4, 5, [4 / 3, "on", true]]);
  expect(readings[5]).toEqual(["k2", 5, 6, [5 / 3, null, true]]);
  const kept: number[] = [];
  eachReading(restored.readings, other, (_key, timeMs) => kept.push(timeMs));
  expect(kept.filter((timeMs) => timeMs >= 150)).toHaveLength(150);
  expect(kept.length).toBeLessThan(250);
  expect(restored.checkpoints.map((one) => [one.key, [...one.blob]])).toEqual([["a", [1, 2, 3]]]);
  expect(restored.ruleStates).toEqual([{ agent, key: "a", rule: "hot", state: '{"since":2}' }]);
  expect(restored.seen.flatMap((block) => block.ids)).toEqual(Array.from({ length: 300 }, (_, at) => `event-${at}`));
  expect(restored.meta).toMatchObject({ note: "yes" });
  expect(restored.agents.get("valve")).toBe(other);
});

test("remembers the newest ids only", async () => {
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory, { rememberIds: 100 });
  const agent = store.agentNumber("pump");
  for (let at = 0; at < 1000; at++) {
    store.project({ kind: "seenId", agent, id: `event-${at}` });
    if (at % 10 === 9) await store.flush();
  }
  const ids = (await store.restore()).seen.flatMap((block) => block.ids);
  expect(ids.length).toBeGreaterThanOrEqual(100);
  expect(ids.length).toBeLessThan(130);
  expect(ids.at(-1)).toBe("event-999");
});

test("a second daemon on the same directory is refused, with the number of the first", async () => {
  const { store, directory } = await openTestStore();
  await expect(openTestStore(directory)).rejects.toMatchObject({
    code: "STORE_LOCKED",
    detail: { directory, pid: process.pid },
  });
  await store.flush();
  await store.stop();
  await (await openTestStore(directory)).store.stop();
});

test("each start begins an epoch with its reason, and a clean one leaves no gap", async () => {
  const directory = temporaryDirectory();
  const first = await openTestStore(directory);
  expect(first.store.epoch()).toMatchObject({ ordinal: 1, reason: "first", gap: undefined });
  await first.store.stop();
  const second = await openTestStore(directory);
  expect(second.store.epoch()).toMatchObject({ ordinal: 2, reason: "clean", previous: first.store.epoch().id });
  expect(second.store.gaps()).toEqual([]);
  await second.store.stop();
  const moved = await openTestStore(directory, { fingerprint: "machine-2" });
  expect(moved.store.epoch()).toMatchObject({ ordinal: 3, reason: "moved" });
  expect(moved.store.gaps()).toMatchObject([{ reason: "moved" }]);
});

test("keeps generations, pointer and modes in the control database, and restores it from its copy", async () => {
  const { rmSync, writeFileSync } = await import("node:fs");
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory);
  const generation = {
    id: "0123456789abcdef",
    origin: "local",
    createdAt: 1,
    files: [{ path: "a.yaml", sha256: "00", source: "agents: {}" }],
  };
  await store.control.saveGeneration(generation);
  await store.control.change({ kind: "pointer", id: generation.id });
  const state = await store.control.change({ kind: "mode", scope: "global", mode: "observe" });
  expect(state).toMatchObject({ pointer: generation.id, modes: { global: "observe" } });
  await store.stop();
  rmSync(join(directory, "control.db"));
  writeFileSync(
    join(directory, "control.db"),
    "this is no database, and long enough to be looked at as one".repeat(50),
  );
  const again = await openTestStore(directory);
  expect(await again.store.control.state()).toMatchObject({
    pointer: generation.id,
    generations: [{ id: generation.id }],
  });
  expect(again.store.epoch().notes.join()).toContain("restored from its copy");
});

test("keeps synchronous at FULL, as the writer asserts after its first write", async () => {
  const { store } = await openTestStore();
  put(store, 1);
  await store.flush();
  expect((await store.figures()) as object).toMatchObject({ synchronous: 2 });
});
