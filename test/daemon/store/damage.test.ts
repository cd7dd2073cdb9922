import {
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { inside, MovableClock, openTestStore, put, temporaryDirectory } from "./support.ts";

/** A data directory as kill -9 leaves it: copied while the writer had it open. */
async function leftBehind(rows: number): Promise<{ directory: string; bodies: string[] }> {
  const source = temporaryDirectory();
  const { store } = await openTestStore(source);
  for (let at = 0; at < rows; at += 500) {
    put(store, Math.min(500, rows - at), { at, text: "y".repeat(200) });
    await store.flush();
  }
  const directory = temporaryDirectory();
  cpSync(source, directory, { recursive: true, filter: (path) => !path.endsWith("-shm") });
  const bodies = inside(source, (db) =>
    db.prepare("SELECT body FROM record WHERE kind = 1 ORDER BY n").pluck().all(),
  ) as string[];
  await store.stop();
  return { directory, bodies };
}

function scribble(path: string, from: number, bytes: number, value = 0xa5): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(bytes, value), 0, bytes, from);
  closeSync(file);
}

async function decisionsAfter(
  directory: string,
): Promise<{ bodies: string[]; notes: string; reason: string; ordinal: number; gaps: readonly { reason: string }[] }> {
  const { store } = await openTestStore(directory);
  put(store, 2, { text: "afterwards" });
  await store.flush();
  const { reason, notes, ordinal } = store.epoch();
  const gaps = store.gaps();
  await store.stop();
  expect(verifyLog({ directory })).toMatchObject({ ok: true });
  expect(inside(directory, (db) => db.pragma("quick_check", { simple: true }))).toBe("ok");
  const bodies = inside(directory, (db) =>
    db.prepare("SELECT body FROM record WHERE kind = 1 ORDER BY n").pluck().all(),
  ) as string[];
  return { bodies: bodies.slice(0, -2), notes: notes.join("; "), reason, ordinal, gaps };
}

test("after a crash everything that was committed is there, and the gap is recorded", async () => {
  const { directory, bodies } = await leftBehind(2000);
  const after = await decisionsAfter(directory);
  expect(after).toMatchObject({ reason: "crash", ordinal: 2, bodies });
  expect(after.gaps).toMatchObject([{ reason: "crash" }]);
});

test("another boot after a crash is told from a crash alone", async () => {
  const { directory } = await leftBehind(10);
  const { store } = await openTestStore(directory, {}, new MovableClock("boot-2"));
  expect(store.epoch().reason).toBe("bootChanged");
});

test("an older file that was put back is found by what stands beside it", async () => {
  const directory = temporaryDirectory();
  await (await openTestStore(directory)).store.stop();
  const older = join(temporaryDirectory(), "older.db");
  copyFileSync(join(directory, "records.db"), older);
  const { store } = await openTestStore(directory);
  put(store, 20);
  await store.stop();
  copyFileSync(older, join(directory, "records.db"));
  const after = await openTestStore(directory);
  expect(after.store.epoch()).toMatchObject({ reason: "restored", ordinal: 3 });
  expect(after.store.gaps()).toMatchObject([{ reason: "restored" }]);
  await after.store.stop();
  expect(verifyLog({ directory })).toMatchObject({ ok: true });
});

test("a log that ends before where it had come to is found", async () => {
  const { directory } = await leftBehind(50);
  const position = JSON.parse(readFileSync(join(directory, "position.json"), "utf8"));
  writeFileSync(join(directory, "position.json"), JSON.stringify({ ...position, n: 1000 }));
  const { store } = await openTestStore(directory);
  expect(store.epoch().reason).toBe("truncated");
});

test("a write-ahead log that was cut short gives back an exact prefix", async () => {
  const { directory, bodies } = await leftBehind(3000);
  const wal = join(directory, "records.db-wal");
  truncateSync(wal, Math.floor(statSync(wal).size * 0.6) + 13);
  const after = await decisionsAfter(directory);
  expect(after.bodies.length).toBeLessThan(bodies.length);
  expect(after.bodies).toEqual(bodies.slice(0, after.bodies.length));
});

test("a damaged page sets the file aside, and saves all rows that can be read", async () => {
  const { directory, bodies } = await leftBehind(4000);
  const { store } = await openTestStore(directory);
  await store.stop();
  scribble(join(directory, "records.db"), 2048 * 300, 2048);
  scribble(join(directory, "position.json"), 0, 1, 0x20);
  // Damage is looked for after a crash, or when the file is small.
  const after = await decisionsAfter(directory);
  expect(after).toMatchObject({ reason: "recovered", ordinal: 3 });
  expect(after.notes).toContain("was set aside");
  expect(after.bodies.length).toBeGreaterThan(bodies.length - 20);
  expect(after.bodies.length).toBeLessThan(bodies.length);
  for (const body of after.bodies) expect(bodies).toContain(body);
  expect(readdirSync(directory).some((name) => name.startsWith("records.db.corrupt-"))).toBe(true);
});

test.each([
  ["is empty", (path: string) => truncateSync(path, 0)],
  ["has no header", (path: string) => scribble(path, 0, 100, 0)],
  ["is cut in half", (path: string) => truncateSync(path, 2048 * 100)],
  ["is something else", (path: string) => writeFileSync(path, "not a database at all ".repeat(1000))],
])("a file that %s is set aside, never deleted, and the daemon goes on", async (_how, damage) => {
  const { directory } = await leftBehind(1000);
  const { store } = await openTestStore(directory);
  await store.stop();
  damage(join(directory, "records.db"));
  const after = await decisionsAfter(directory);
  expect(after).toMatchObject({ reason: "recovered", ordinal: 3 });
  expect(readdirSync(directory).filter((name) => /^records\.db\.corrupt-\d+$/.test(name))).toHaveLength(1);
});

test("a database that was deleted is a start with a gap, not a first start", async () => {
  const { directory } = await leftBehind(10);
  for (const part of ["", "-wal"]) rmSync(join(directory, `records.db${part}`));
  const { store } = await openTestStore(directory);
  expect(store.epoch()).toMatchObject({ reason: "recovered", ordinal: 2 });
  expect(store.epoch().notes.join()).toContain("missing");
});

test("keeps the newest two of the files that were set aside", async () => {
  const directory = temporaryDirectory();
  await (await openTestStore(directory)).store.stop();
  for (let round = 0; round < 4; round++) {
    writeFileSync(join(directory, "records.db"), "damaged ".repeat(1000));
    await (await openTestStore(directory)).store.stop();
  }
  expect(readdirSync(directory).filter((name) => name.includes(".corrupt-"))).toHaveLength(2);
  expect(existsSync(join(directory, "records.db"))).toBe(true);
});

test("counters survive a damaged file as far as it can be read", async () => {
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory);
  put(store, 3000, { text: "z".repeat(200) });
  await store.stop();
  scribble(join(directory, "records.db"), 2048 * 200, 2048);
  const again = await openTestStore(directory);
  expect((await again.store.restore()).totals.pump).toEqual({ decided: 3000 });
});

test("refuses a database of a newer version, and one of another program", async () => {
  for (const [pragma, code] of [
    ["user_version = 99", "STORE_NEWER"],
    ["application_id = 7", "STORE_FOREIGN"],
  ] as const) {
    const directory = temporaryDirectory();
    await (await openTestStore(directory)).store.stop();
    inside(directory, (db) => db.pragma(pragma), false);
    await expect(openTestStore(directory)).rejects.toMatchObject({ code });
    expect(readdirSync(directory).some((name) => name.includes(".corrupt-"))).toBe(false);
  }
});

test("a log that was killed at its quota starts, makes room, and goes on", async () => {
  const directory = temporaryDirectory();
  const limits = { maxBytes: 1_200_000 };
  const { store } = await openTestStore(directory, limits);
  put(store, 1500, { text: "q".repeat(200) });
  await store.stop();
  // The reserve was in use; no page is free.
  inside(
    directory,
    (db) => {
      db.exec("PRAGMA max_page_count = 100000; CREATE TABLE filler (b)");
      const pages = (): number => db.pragma("page_count", { simple: true }) as number;
      while (pages() < 560 || db.pragma("freelist_count", { simple: true }) !== 0)
        db.exec("INSERT INTO filler VALUES (zeroblob(1500))");
    },
    false,
  );
  // So long that the start's own records do not fit into what is left of the last pages.
  const again = await openTestStore(directory, limits, new MovableClock("boot".repeat(2000)));
  put(again.store, 300, { text: "q".repeat(200) });
  await again.store.flush();
  expect(again.store.epoch().ordinal).toBe(2);
});
