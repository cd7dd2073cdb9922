import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { childPath } from "../../../daemon/children.ts";
import { createIds } from "../../../daemon/ids.ts";
import { storeFiles } from "../../../daemon/store/files.ts";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { carryOver } from "../../../daemon/store/versions/carry.ts";
import { returnToOlder } from "../../../daemon/store/versions/return.ts";
import { snapshotBeforeUpgrade, snapshotsIn } from "../../../daemon/store/versions/snapshot.ts";
import { inside, openTestStore, put } from "./support.ts";

const dist = dirname(dirname(childPath("daemon/main")));
const child = fileURLToPath(new URL("crash-child.mjs", import.meta.url));
const TOMORROW = { records: 4, control: 3 };
const TOMORROWS_SQL = `
  ALTER TABLE record ADD COLUMN origin TEXT NOT NULL DEFAULT 'here'; ALTER TABLE ruleState ADD COLUMN since INT;
  CREATE TABLE novel (x); PRAGMA user_version = 4;`;

const newId = createIds();

const idsIn = (directory: string): string[] =>
  inside(directory, (db) =>
    db.prepare("SELECT lower(hex(id)) FROM record WHERE kind = 1 ORDER BY n").pluck().all(),
  ) as string[];
const plain = (ids: readonly string[]): string[] => ids.map((id) => id.replaceAll("-", ""));

/** As the version before left it. */
async function ofYesterday(): Promise<{ directory: string; ids: string[] }> {
  const { store, directory } = await openTestStore();
  const ids = put(store, 300);
  await store.stop();
  inside(directory, (db) => db.exec("DROP TABLE acknowledged; PRAGMA user_version = 2;"), false);
  return { directory, ids };
}

/** Upgraded to a version of tomorrow, which wrote more and was left. `sql`: what else that version changed. */
async function ofTomorrow(sql = "", controlSql = ""): Promise<{ directory: string; ids: string[]; intent: string }> {
  const { store, directory } = await openTestStore();
  await store.control.change({ kind: "mode", scope: "gateway", mode: "auto" });
  const ids = put(store, 300);
  await store.stop();
  snapshotBeforeUpgrade(storeFiles(directory), Date.now(), { known: TOMORROW, spareBytes: 0 });
  const newer = await openTestStore(directory);
  ids.push(...put(newer.store, 200, { by: "tomorrow" }));
  const wallMs = Date.now();
  const intent = newId(wallMs);
  const body = JSON.stringify({ v: 1, kind: "intent", id: intent, agent: "pump", decision: ids.at(-1) });
  newer.store.append({ stream: 1, kind: "intent", agent: 1, id: intent, wallMs, body });
  newer.store.project({ kind: "ruleState", agent: 1, key: "p1", rule: "hot", state: "held" });
  newer.store.project({ kind: "acknowledged", epoch: 1, stream: 1, contiguous: 250, ranges: "[]" });
  await newer.store.stop();
  inside(directory, (db) => db.exec(TOMORROWS_SQL + sql), false);
  const control = new Sqlite(join(directory, "control.db"));
  control.exec(
    `ALTER TABLE mode ADD COLUMN why TEXT; DELETE FROM mode; INSERT INTO mode VALUES ('site', 'observe', 'x');
     PRAGMA user_version = 3; ${controlSql}`,
  );
  control.close();
  return { directory, ids, intent };
}

test("before a database gets a new form both are copied, and it is told where", async () => {
  const { directory, ids } = await ofYesterday();
  const { store } = await openTestStore(directory);
  expect(store.epoch().reason).toBe("clean");
  expect(store.epoch().notes.join()).toContain("they were copied to");
  await store.stop();
  const [copy, ...others] = snapshotsIn(storeFiles(directory));
  expect([copy?.records, copy?.control, others.length]).toEqual([2, 2, 0]);
  expect(readdirSync(copy?.folder ?? "").sort()).toEqual(["about.json", "control.db", "records.db"]);
  expect(idsIn(copy?.folder ?? "")).toEqual(plain(ids));
  expect(inside(copy?.folder ?? "", (db) => db.pragma("user_version", { simple: true }))).toBe(2);
  expect(inside(directory, (db) => db.pragma("user_version", { simple: true }))).toBe(3);
  await (await openTestStore(directory)).store.stop();
  expect(snapshotsIn(storeFiles(directory))).toHaveLength(1);
});

test("copies of two forms are kept, and of each form the last", async () => {
  const { store, directory } = await openTestStore();
  await store.stop();
  const files = storeFiles(directory);
  for (const [at, records] of [4, 4, 5, 6].entries()) {
    inside(directory, (db) => db.pragma(`user_version = ${records}`), false);
    snapshotBeforeUpgrade(files, 1000 + at, { known: { records: 9, control: 9 }, spareBytes: 0 });
  }
  expect(snapshotsIn(files).map(({ records, madeAtMs }) => [records, madeAtMs])).toEqual([
    [6, 1003],
    [5, 1002],
  ]);
});

test("a copy whose own description is torn is passed over", async () => {
  const { directory, ids } = await ofYesterday();
  await (await openTestStore(directory)).store.stop();
  const [copy] = snapshotsIn(storeFiles(directory));
  writeFileSync(join(copy?.folder ?? "", "about.json"), '{"records":2,');
  const { store } = await openTestStore(directory);
  expect(store.epoch().reason).toBe("clean");
  await store.stop();
  expect(snapshotsIn(storeFiles(directory))).toEqual([]);
  expect(idsIn(directory)).toEqual(plain(ids));
});

test("without room for the copy nothing is changed, and it says how much is needed", async () => {
  const { directory, ids } = await ofYesterday();
  const files = storeFiles(directory);
  const bounds = { known: TOMORROW, spareBytes: Number.MAX_SAFE_INTEGER / 2 };
  expect(() => snapshotBeforeUpgrade(files, Date.now(), bounds)).toThrow(
    expect.objectContaining({
      code: "STORE_NO_ROOM",
      detail: expect.objectContaining({ neededBytes: expect.any(Number) as number }) as object,
    }),
  );
  expect(snapshotsIn(files)).toEqual([]);
  expect(idsIn(directory)).toEqual(plain(ids));
  expect(inside(directory, (db) => db.pragma("user_version", { simple: true }))).toBe(2);
});

test("a version goes back to the form it knows, with all that the newer one wrote, and the log says so", async () => {
  const { directory, ids } = await ofTomorrow();
  const { store } = await openTestStore(directory);
  const { reason, notes } = store.epoch();
  expect(reason).toBe("restored");
  expect(store.gaps().at(-1)?.reason).toBe("restored");
  expect(notes.join("; ")).toMatch(
    /records.db had been changed by a newer version \(form 4, this one knows 3\).* with 20\d records/,
  );
  const { ruleStates, totals } = await store.restore();
  expect(ruleStates).toContainEqual(expect.objectContaining({ key: "p1", state: "held" }));
  expect(totals.pump).toEqual({ decided: 500 });
  ids.push(...put(store, 50));
  await store.stop();
  expect(idsIn(directory)).toEqual(plain(ids));
  expect(verifyLog({ directory })).toMatchObject({ ok: true });
  expect(inside(directory, (db) => db.prepare("SELECT contiguous FROM acknowledged").pluck().get())).toBe(250);
  const control = new Sqlite(join(directory, "control.db"), { readonly: true });
  expect(control.prepare("SELECT scope, mode FROM mode").all()).toEqual([{ scope: "site", mode: "observe" }]);
  control.close();
  const aside = readdirSync(directory).filter((name) => name.includes(".newer-"));
  expect(aside.map((name) => name.replace(/\d+$/, "")).sort()).toEqual(["control.db.newer-", "records.db.newer-"]);
  const again = await openTestStore(directory);
  expect(again.store.epoch()).toMatchObject({ reason: "clean", notes: [] });
});

test("a table of another form stays as it was before the upgrade, and is told", async () => {
  const { directory, ids } = await ofTomorrow("ALTER TABLE total RENAME COLUMN counters TO sums;");
  const { store } = await openTestStore(directory);
  expect(store.epoch().notes).toContain("the table total of the newer version has another form");
  await store.stop();
  expect(idsIn(directory)).toEqual(plain(ids));
});

test("actions of the newer version are known by their records where their table can not be brought over", async () => {
  const { directory, intent } = await ofTomorrow("ALTER TABLE action RENAME COLUMN open TO isOpen;");
  const { store } = await openTestStore(directory);
  expect(store.epoch().notes).toContain("the table action of the newer version has another form");
  const { open } = await store.restoreActions([]);
  expect(open.map(({ first }) => (JSON.parse(first) as { id: string }).id)).toEqual([intent]);
});

test("modes that can not be brought over do not come back as they were before the upgrade", async () => {
  const { directory } = await ofTomorrow("", "ALTER TABLE mode RENAME COLUMN mode TO level");
  const { store } = await openTestStore(directory);
  expect(store.epoch().notes.join("; ")).toContain("the modes are not known: the gateway observes");
  expect((await store.control.state()).modes).toEqual({ gateway: "observe" });
});

test("control.db torn just after the way back is restored from a copy that this version can read", async () => {
  const { directory } = await ofTomorrow();
  copyFileSync(join(directory, "control.db"), join(directory, "control.db.bak"));
  await diesAt(directory, "return.begun:2");
  truncateSync(join(directory, "control.db"), 0);
  const { store } = await openTestStore(directory);
  expect((await store.control.state()).modes).toEqual({ site: "observe" });
});

test("a way back that was cut short, before the newer version was there again, can be gone once more", async () => {
  const { directory, ids } = await ofTomorrow();
  await diesAt(directory, "return.carried:2");
  const nothing = { taking: () => undefined, losing: () => undefined };
  const newer = { ...recordsSchema, migrations: [...recordsSchema.migrations, { to: 4, sql: "" }] };
  const [path, snapshots] = [join(directory, "records.db"), snapshotsIn(storeFiles(directory))];
  expect(returnToOlder({ path, schema: newer, snapshots, wallMs: 1, ...nothing })).toBeUndefined();
  expect(existsSync(`${path}.older`)).toBe(false);
  const { store } = await openTestStore(directory);
  expect(store.epoch().reason).toBe("restored");
  await store.stop();
  expect(idsIn(directory)).toEqual(plain(ids));
});

test("of two copies that of the newer form is taken, whatever the clock said when they were made", async () => {
  const { directory, ids } = await ofTomorrow();
  const [copy] = snapshotsIn(storeFiles(directory));
  const older = join(directory, "upgrade/form-2-2-9");
  cpSync(copy?.folder ?? "", older, { recursive: true });
  inside(older, (db) => db.exec("DROP TABLE acknowledged; PRAGMA user_version = 2;"), false);
  writeFileSync(join(older, "about.json"), JSON.stringify({ records: 2, control: 2, madeAtMs: Date.now() + 1e9 }));
  const { store } = await openTestStore(directory);
  await store.stop();
  expect(idsIn(directory)).toEqual(plain(ids));
  expect(inside(directory, (db) => db.prepare("SELECT contiguous FROM acknowledged").pluck().get())).toBe(250);
});

test("records that do not fit their hash are not brought along, and are told", async () => {
  const { directory, ids } = await ofTomorrow("UPDATE record SET body = body || ' ' WHERE kind = 1 AND n > 400;");
  const { store } = await openTestStore(directory);
  expect(store.epoch().notes.join("; ")).toMatch(/\d+ records do not fit their hash/);
  await store.stop();
  const kept = idsIn(directory);
  expect(plain(ids).slice(0, kept.length)).toEqual(kept);
  expect(kept.length).toBeLessThan(ids.length);
});

test("what the newer version let go does not come back", async () => {
  const { directory } = await ofTomorrow(
    `UPDATE record SET seq = seq; DELETE FROM record WHERE epoch = 1 AND stream = 1 AND seq <= 100;
     INSERT INTO dropped VALUES (1, 1, 100, 100, NULL, 100, 1);`,
  );
  const { store } = await openTestStore(directory);
  await store.stop();
  expect(idsIn(directory)).toHaveLength(400);
});

test("a newer database without a copy from before is left alone", async () => {
  const { store, directory } = await openTestStore();
  await store.stop();
  inside(directory, (db) => db.exec(TOMORROWS_SQL), false);
  await expect(openTestStore(directory)).rejects.toMatchObject({ code: "STORE_NEWER" });
  expect(readdirSync(directory).some((name) => /newer|older/.test(name))).toBe(false);
});

test("a copy of another log is no way back: two logs never become one", async () => {
  const other = await openTestStore();
  put(other.store, 30);
  await other.store.stop();
  const { directory } = await ofTomorrow();
  const ids = idsIn(directory);
  const [copy] = snapshotsIn(storeFiles(directory));
  copyFileSync(join(other.directory, "records.db"), join(copy?.folder ?? "", "records.db"));
  await expect(openTestStore(directory)).rejects.toMatchObject({ code: "STORE_NEWER" });
  expect(idsIn(directory)).toEqual(ids);
  expect(existsSync(join(copy?.folder ?? "", "records.db"))).toBe(true);
});

test.each([4, 12, 30, 44])("a copy that is damaged from page %i on loses no record in silence", async (page) => {
  const { directory, ids } = await ofTomorrow();
  const [copy] = snapshotsIn(storeFiles(directory));
  const path = join(copy?.folder ?? "", "records.db");
  const bytes = readFileSync(path);
  bytes.fill(0xa5, page * 2048, (page + 6) * 2048);
  writeFileSync(path, bytes);
  await expect(openTestStore(directory)).rejects.toMatchObject({ code: "STORE_NEWER" });
  expect(idsIn(directory)).toEqual(plain(ids));
});

test("a disk that is full on the way back ends it, and nothing is left out for that", async () => {
  const { directory, ids } = await ofTomorrow();
  const [copy] = snapshotsIn(storeFiles(directory));
  const into = new Sqlite(join(copy?.folder ?? "", "records.db"));
  const pages = Number(into.pragma("page_count", { simple: true }));
  into.pragma(`max_page_count = ${pages + 4}`);
  const path = join(directory, "records.db");
  expect(() => carryOver(path, into)).toThrow(expect.objectContaining({ code: "SQLITE_FULL" }));
  into.pragma(`max_page_count = ${pages + 400}`);
  expect(carryOver(path, into).notes).toEqual([]);
  into.close();
  expect(idsIn(copy?.folder ?? "")).toEqual(plain(ids));
});

async function diesAt(directory: string, crashpoint: string): Promise<void> {
  const options = JSON.stringify({ dist, directory, crashpoint, rows: 10 });
  const started = spawn(process.execPath, [child, options], { stdio: ["ignore", "ignore", "inherit"] });
  const [, signal] = (await once(started, "close")) as [number | null, string | null];
  expect(`${crashpoint} ${signal}`).toBe(`${crashpoint} SIGKILL`);
}

test.each(["snapshot.copied", "snapshot.made"])(
  "killed at %s, an upgrade is finished by the next start",
  async (point) => {
    const { directory, ids } = await ofYesterday();
    await diesAt(directory, point);
    const { store } = await openTestStore(directory);
    await store.stop();
    expect(idsIn(directory)).toEqual(plain(ids));
    expect(idsIn(snapshotsIn(storeFiles(directory))[0]?.folder ?? "")).toEqual(plain(ids));
    expect(existsSync(join(directory, "upgrade/unfinished"))).toBe(false);
  },
);

// Each is passed twice, for control.db first.
test.each(["begun", "carried", "aside", "begun:2", "carried:2", "aside:2"])(
  "killed at return.%s, the way back is finished by the next start",
  async (point) => {
    const { directory, ids } = await ofTomorrow();
    await diesAt(directory, `return.${point}`);
    const { store } = await openTestStore(directory);
    expect(store.epoch().reason).toBe("restored");
    await store.stop();
    expect(idsIn(directory)).toEqual(plain(ids));
    expect(verifyLog({ directory })).toMatchObject({ ok: true });
    expect(readdirSync(directory).filter((name) => /older|went-back/.test(name))).toEqual([]);
  },
);

test("a disk that is full in the middle of the way back is waited for: nothing is left behind", async () => {
  const { directory, ids } = await ofTomorrow();
  const [newer, older] = [
    join(directory, "records.db"),
    join(snapshotsIn(storeFiles(directory))[0]?.folder ?? "", "records.db"),
  ];
  const into = new Sqlite(older);
  into.pragma(`max_page_count = ${Number(into.pragma("page_count", { simple: true })) + 8}`);
  expect(() => carryOver(newer, into)).toThrow(expect.objectContaining({ code: "SQLITE_FULL" }));
  into.pragma("max_page_count = 100000");
  expect(carryOver(newer, into).notes).toEqual([]);
  into.close();
  expect(idsIn(dirname(older))).toEqual(plain(ids));
});

test.each(["at once", "after a cut"])(
  "what can not be read of a newer file is skipped, all else comes along, and what is missing is told as dropped, %s",
  async (when) => {
    const { directory, ids } = await ofTomorrow();
    const path = join(directory, "records.db");
    const leaf = inside(directory, (db) =>
      db
        .prepare(
          "SELECT pageno FROM dbstat WHERE name = 'record' AND pagetype = 'leaf' ORDER BY path DESC LIMIT 1 OFFSET 8",
        )
        .pluck()
        .get(),
    ) as number;
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(2048, 0xff), 0, 2048, (leaf - 1) * 2048);
    closeSync(file);
    if (when === "after a cut") await diesAt(directory, "return.carried:2");
    const { store } = await openTestStore(directory);
    if (when === "at once") expect(store.epoch().notes.join("; ")).toMatch(/records after n \d+ could not be read/);
    await store.stop();
    const kept = idsIn(directory);
    expect(kept.at(-1)).toBe(plain(ids).at(-1));
    expect(ids.length - kept.length).toBeGreaterThan(0);
    expect(ids.length - kept.length).toBeLessThan(20);
    const dropped = inside(directory, (db) =>
      db.prepare("SELECT sum(body ->> 'rows') FROM record WHERE body ->> 'kind' = 'drop'").pluck().get(),
    );
    expect(dropped).toBe(ids.length - kept.length);
    expect(verifyLog({ directory }).bad).toBeUndefined();
  },
);
