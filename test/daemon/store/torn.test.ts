import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { inside, openTestStore, put, temporaryDirectory } from "./support.ts";

const idsIn = (directory: string): string[] =>
  inside(directory, (db) =>
    db.prepare("SELECT lower(hex(id)) FROM record WHERE kind = 1 ORDER BY n").pluck().all(),
  ) as string[];

/** A data directory as kill -9 leaves it, all of its rows still in the write-ahead log. */
async function leftBehind(rows: number): Promise<{ directory: string; ids: string[] }> {
  const source = temporaryDirectory();
  const { store } = await openTestStore(source);
  put(store, rows, { text: "y".repeat(200) });
  await store.flush();
  const directory = temporaryDirectory();
  cpSync(source, directory, { recursive: true, filter: (path) => !path.endsWith("-shm") });
  const ids = idsIn(source);
  await store.stop();
  return { directory, ids };
}

async function opened(directory: string): Promise<{ reason: string; notes: string; pointer: string | undefined }> {
  const { store } = await openTestStore(directory);
  const { reason, notes } = store.epoch();
  const { pointer } = await store.control.state();
  await store.stop();
  expect(verifyLog({ directory }).bad).toBeUndefined();
  return { reason, notes: notes.join("; "), pointer };
}

test.each([
  ["is missing", (path: string) => rmSync(path)],
  ["is empty", (path: string) => truncateSync(path, 0)],
])("a log that %s is saved from the write-ahead log beside it, which is kept", async (_how, tear) => {
  const { directory, ids } = await leftBehind(600);
  const wal = statSync(join(directory, "records.db-wal")).size;
  tear(join(directory, "records.db"));
  expect(await opened(directory)).toMatchObject({ reason: "recovered" });
  expect(idsIn(directory)).toEqual(ids);
  const aside = readdirSync(directory).filter((name) => /^records\.db\.corrupt-\d+-wal$/.test(name));
  expect(aside.map((name) => statSync(join(directory, name)).size)).toEqual([wal]);
});

test("a log that is empty, of which nothing else knows, is still saved from its write-ahead log", async () => {
  const { directory, ids } = await leftBehind(300);
  for (const name of ["control.db", "control.db.bak", "position.json"]) rmSync(join(directory, name));
  truncateSync(join(directory, "records.db"), 0);
  expect(await opened(directory)).toMatchObject({ reason: "recovered" });
  expect(idsIn(directory)).toEqual(ids);
});

test("control.db is set aside with its journal, which is not played back into the copy", async () => {
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory);
  await store.control.change({ kind: "pointer", id: "first" });
  await store.stop();
  leaveHotJournal(join(directory, "control.db"));
  const journal = readFileSync(join(directory, "control.db-journal"));
  truncateSync(join(directory, "control.db"), 100);
  const after = await opened(directory);
  expect(after.pointer).toBe("first");
  expect(after.notes).toContain("restored from its copy");
  const kept = readdirSync(directory).filter((name) => /^control\.db\.corrupt-\d+-journal$/.test(name));
  expect(kept.map((name) => readFileSync(join(directory, name)).equals(journal))).toEqual([true]);
});

test.each(["missing", "empty"])("the journal of a control.db that is %s is kept, and the copy is used", async (how) => {
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory);
  await store.control.change({ kind: "pointer", id: "first" });
  await store.stop();
  leaveHotJournal(join(directory, "control.db"));
  if (how === "missing") rmSync(join(directory, "control.db"));
  else truncateSync(join(directory, "control.db"), 0);
  expect(await opened(directory)).toMatchObject({
    pointer: "first",
    notes: expect.stringContaining("control.db was lost"),
  });
  expect(readdirSync(directory).filter((name) => /^control\.db\.corrupt-\d+-journal$/.test(name))).toHaveLength(1);
});

test("a change of control.db that the power cut in the middle is taken back by its journal", async () => {
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory);
  await store.control.change({ kind: "pointer", id: "first" });
  await store.stop();
  leaveHotJournal(join(directory, "control.db"));
  expect(await opened(directory)).toMatchObject({ reason: "clean", pointer: "first", notes: "" });
});

test("a copy of control.db that can not be read is kept, and not written over", async () => {
  const directory = temporaryDirectory();
  await (await openTestStore(directory)).store.stop();
  for (const name of ["control.db", "control.db.bak"]) writeFileSync(join(directory, name), `${name} `.repeat(1000));
  expect((await opened(directory)).notes).toContain("its copy could not be read either");
  const kept = readdirSync(directory).filter((name) => /^control\.db(\.bak)?\.corrupt-\d+$/.test(name));
  expect(kept.map((name) => readFileSync(join(directory, name), "utf8").split(" ")[0])).toEqual([
    "control.db.bak",
    "control.db",
  ]);
});

test.each([
  ["garbage", (path: string) => writeFileSync(path, "torn ".repeat(2000))],
  ["empty", (path: string) => writeFileSync(path, "")],
  [
    "half a page",
    (path: string) => writeFileSync(path, Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(900)])),
  ],
])("a lock that is %s keeps nobody from starting, and still keeps a second one out", async (_how, tear) => {
  const directory = temporaryDirectory();
  await (await openTestStore(directory)).store.stop();
  tear(join(directory, "lock.db"));
  const { store } = await openTestStore(directory);
  await expect(openTestStore(directory)).rejects.toMatchObject({ code: "STORE_LOCKED" });
  await store.stop();
});

test("a torn position is told and kept, since it is signed", async () => {
  const directory = temporaryDirectory();
  await (await openTestStore(directory)).store.stop();
  truncateSync(join(directory, "position.json"), 57);
  expect((await opened(directory)).notes).toContain("position.json could not be read and was set aside");
  const kept = readdirSync(directory).filter((name) => name.startsWith("position.json.unreadable-"));
  expect(kept.map((name) => statSync(join(directory, name)).size)).toEqual([57]);
});

test("beginnings of files that were never put in their places go, and all else stays", async () => {
  const directory = temporaryDirectory();
  await (await openTestStore(directory)).store.stop();
  for (const name of ["position.json.4711.tmp", "gateway.key.12.tmp", "control.db.bak.tmp", "mine.12.tmp"])
    writeFileSync(join(directory, name), "half of it");
  expect((await opened(directory)).notes).toContain("gateway.key.12.tmp was left unfinished");
  expect(readdirSync(directory).filter((name) => name.endsWith(".tmp"))).toEqual(["mine.12.tmp"]);
});

/** Where the power can go while a damaged log is set aside and copied, and what has to be there after the next start. */
test.each([
  ["the file was set aside, its write-ahead log not yet", "-wal"],
  ["both were set aside, and nothing was copied", ""],
])("the power goes when %s: the next start saves what there is", async (_when, left) => {
  const { directory, ids } = await leftBehind(600);
  const aside = join(directory, "records.db.corrupt-1700000000000");
  await noteSalvage(directory, aside);
  for (const part of ["", "-wal"])
    if (part !== left || left === "") renameSync(join(directory, `records.db${part}`), aside + part);
  expect(await opened(directory)).toMatchObject({ reason: "recovered" });
  expect(idsIn(directory)).toEqual(ids);
});

test("a log that went on after a salvage is not taken for half of one by an older control.db", async () => {
  const { directory } = await leftBehind(600);
  writeFileSync(join(directory, "records.db"), Buffer.alloc(4096, "torn"));
  const first = await openTestStore(directory);
  const aside = readdirSync(directory).find((name) => /^records\.db\.corrupt-\d+$/.test(name)) ?? "";
  put(first.store, 20);
  await first.store.flush();
  await first.store.stop();
  const ids = idsIn(directory);
  expect(ids.length).toBeGreaterThanOrEqual(20);
  await noteSalvage(directory, join(directory, aside));
  expect(await opened(directory)).toMatchObject({ reason: "clean" });
  expect(idsIn(directory)).toEqual(ids);
});

test("half of a salvage that is torn itself is kept, and what it came from is saved as well", async () => {
  const { directory, ids } = await leftBehind(600);
  const aside = join(directory, "records.db.corrupt-1700000000000");
  await noteSalvage(directory, aside);
  for (const part of ["", "-wal"]) renameSync(join(directory, `records.db${part}`), aside + part);
  writeFileSync(join(directory, "records.db"), Buffer.alloc(8192, "torn"));
  expect(await opened(directory)).toMatchObject({ reason: "recovered" });
  expect(idsIn(directory)).toEqual(ids);
  expect(readdirSync(directory).filter((name) => /^records\.db\.corrupt-\d+$/.test(name))).toHaveLength(2);
});

test("rows of an earlier start that are lost with its own heads are told by what the next start says of them", async () => {
  const directory = temporaryDirectory();
  const first = await openTestStore(directory);
  put(first.store, 40);
  await first.store.stop();
  await (await openTestStore(directory)).store.stop();
  // As if the pages with the end of the first start could not be read.
  inside(directory, (db) => db.prepare("DELETE FROM record WHERE epoch = 1 AND (stream = 1 OR seq > 1)").run(), false);
  truncateSync(join(directory, "records.db"), statSync(join(directory, "records.db")).size - 2048);
  expect(await opened(directory)).toMatchObject({ reason: "recovered" });
});

/** As a start that sets a log aside does before it moves anything. */
async function noteSalvage(directory: string, aside: string): Promise<void> {
  for (const name of ["control.db", "control.db.bak"]) {
    const database = new Sqlite(join(directory, name));
    database.prepare("INSERT OR REPLACE INTO meta VALUES ('salvaging', ?)").run(aside);
    database.close();
  }
}

/** As a power cut leaves it within a change: the journal whole, the file half written. */
function leaveHotJournal(path: string): void {
  const work = `${path}.work`;
  copyFileSync(path, work);
  const database = new Sqlite(work);
  database.pragma("journal_mode = DELETE");
  database.pragma("cache_size = 1");
  database.exec("BEGIN");
  database.prepare("UPDATE meta SET value = 'half' WHERE name = 'pointer'").run();
  const put = database.prepare("INSERT INTO meta VALUES (?, ?)");
  for (let at = 0; at < 200; at++) put.run(`filler-${at}`, "z".repeat(300));
  copyFileSync(work, path);
  copyFileSync(`${work}-journal`, `${path}-journal`);
  database.exec("ROLLBACK");
  database.close();
  rmSync(work);
  expect(existsSync(`${path}-journal`)).toBe(true);
}

test("with a clock that was set back the log that was set aside just now is kept, and saved from", async () => {
  const { directory, ids } = await leftBehind(300);
  const year = 31_536_000_000;
  for (const ahead of [1, 2])
    writeFileSync(join(directory, `records.db.corrupt-${Date.now() + ahead * year}`), "older");
  truncateSync(join(directory, "records.db"), 0);
  expect(await opened(directory)).toMatchObject({ reason: "recovered" });
  expect(idsIn(directory)).toEqual(ids);
});
