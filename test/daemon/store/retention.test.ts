import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { verifyLog } from "../../../daemon/store/verify.ts";
import type { Drop } from "../../../sync/records.ts";
import { parseRecord } from "../../../sync/records.ts";
import { inside, openTestStore, put } from "./support.ts";

const DAY_MS = 86_400_000;
const text = "r".repeat(300);

function drops(directory: string): Drop[] {
  const bodies = inside(directory, (db) =>
    db.prepare("SELECT body FROM record WHERE kind = 7 ORDER BY n").pluck().all(),
  ) as string[];
  return bodies.map((body) => parseRecord(body).body as Drop);
}

/** Until everything that was announced is deleted. */
function settled(directory: string): Promise<void> {
  const waiting = () =>
    inside(directory, (db) => db.prepare("SELECT count(*) FROM dropped WHERE deletedSeq < toSeq").pluck().get());
  return vi.waitFor(() => expect(waiting()).toBe(0), 60_000);
}

function rowsOf(directory: string, stream: number): number {
  return inside(directory, (db) =>
    db.prepare("SELECT count(*) FROM record WHERE stream = ?").pluck().get(stream),
  ) as number;
}

/** Rows that were announced and are not deleted yet: the next start goes on with them. */
function waitingRows(directory: string, stream: number): number {
  const sql = "SELECT coalesce(sum(toSeq - deletedSeq), 0) FROM dropped WHERE stream = ?";
  return inside(directory, (db) => db.prepare(sql).pluck().get(stream)) as number;
}

test("stays within its quota for ever, lets quiet passes go before decisions, and safety never", async () => {
  const { store, directory, notes } = await openTestStore(undefined, { maxBytes: 3_000_000 });
  let put1 = 0;
  let put2 = 0;
  for (let round = 0; round < 120; round++) {
    while (store.room() < 8000) await store.flush();
    put(store, 100, { text }, 1);
    put(store, 150, { text }, 2);
    put1 += 100;
    put2 += 150;
    await store.flush();
  }
  await settled(directory);
  await store.stop();
  expect(notes.filter((note) => note.what === "store is full")).toEqual([]);
  expect(statSync(join(directory, "records.db")).size).toBeLessThan(3_000_000);
  const found = drops(directory);
  const droppedRows = found.reduce((sum, drop) => sum + drop.rows, 0);
  expect(droppedRows).toBeGreaterThan(20_000);
  expect(found.every((drop) => drop.reason === "size" && drop.stream !== 0)).toBe(true);
  expect(found[0]?.stream).toBe(2);
  for (const [stream, all] of [
    [1, put1],
    [2, put2],
  ] as const) {
    const gone = found.filter((drop) => drop.stream === stream).reduce((sum, drop) => sum + drop.rows, 0);
    expect(gone + rowsOf(directory, stream) - waitingRows(directory, stream)).toBe(all);
  }
  expect(verifyLog({ directory })).toMatchObject({ ok: true, droppedRows });
});

test("removes what is older than it may be, by time that the daemon has run", async () => {
  const { store, directory, clock } = await openTestStore(undefined, {
    retention: { decisionsDays: 30, quietDays: 2, telemetryDays: 60 },
  });
  for (let day = 0; day < 10; day++) {
    put(store, 20, { day }, 1, clock.wallMs());
    put(store, 20, { day }, 2, clock.wallMs());
    await store.flush();
    store.minute();
    await store.figures();
    clock.aheadMs += DAY_MS;
  }
  store.minute();
  await vi.waitFor(async () => expect((await store.figures()).droppedRows).toBeGreaterThanOrEqual(140), 60_000);
  await settled(directory);
  await store.stop();
  expect(rowsOf(directory, 1)).toBe(200);
  expect(rowsOf(directory, 2)).toBeGreaterThanOrEqual(20);
  expect(rowsOf(directory, 2)).toBeLessThanOrEqual(60);
  expect(drops(directory).every((drop) => drop.reason === "age" && drop.stream === 2)).toBe(true);
  expect(verifyLog({ directory })).toMatchObject({ ok: true });
});

test("a wall clock that jumps a year ahead costs no record", async () => {
  const { store, directory, clock } = await openTestStore();
  put(store, 20, {}, 2);
  await store.flush();
  const wallMs = clock.wallMs.bind(clock);
  clock.wallMs = () => wallMs() + 400 * DAY_MS;
  store.minute();
  put(store, 1, {}, 2, clock.wallMs());
  await store.flush();
  store.minute();
  await store.stop();
  expect(rowsOf(directory, 2)).toBe(21);
});

test("what was dropped stays told when the epoch of the rows is long over", async () => {
  const first = await openTestStore(undefined, { maxBytes: 1_400_000 });
  for (let round = 0; round < 12; round++) {
    put(first.store, 100, { text }, 1);
    await first.store.flush();
  }
  await first.store.stop();
  const second = await openTestStore(first.directory, { maxBytes: 1_400_000 });
  for (let round = 0; round < 60; round++) {
    put(second.store, 100, { text }, 1);
    await second.store.flush();
  }
  await second.store.stop();
  expect(new Set(drops(first.directory).map((drop) => drop.epoch))).toEqual(new Set([1, 2]));
  expect(verifyLog({ directory: first.directory })).toMatchObject({ ok: true });
  const { store } = await openTestStore(first.directory, { maxBytes: 1_400_000 });
  expect((await store.restore()).totals.pump).toEqual({ decided: 7200 });
});

test("a batch that is large beside the quota is given room, by letting the oldest decisions go", async () => {
  const { store, directory, notes } = await openTestStore(undefined, { maxBytes: 1_200_000 });
  for (let round = 0; round < 20; round++) {
    put(store, 512, { text }, 1);
    await store.flush();
  }
  await store.stop();
  expect(notes).toEqual([]);
  expect(verifyLog({ directory })).toMatchObject({ ok: true });
});
