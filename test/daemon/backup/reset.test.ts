import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type ResetOptions, resetData } from "../../../daemon/backup/reset.ts";
import { latchPath, readLatch, writeLatchDurably } from "../../../daemon/latch-file.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { inside, openTestStore } from "../store/support.ts";
import { live, type Site, site } from "./site.ts";

let at: Site;
beforeEach(async () => {
  at = await site(5);
});

const reset = (over: Partial<ResetOptions> = {}) =>
  resetData({
    ...{ dataDirectory: at.data, keepIdentity: false, releaseLatch: false, discardUnsent: false, hasFleet: false },
    ...{ wallMs: Date.now(), confirm: async () => true, ...over },
  });
const left = (): string[] => readdirSync(at.data).filter((name) => !/^(?:latch|lock\.)/.test(name));
const reasons = (): unknown => inside(at.data, (db) => db.prepare("SELECT reason FROM epoch").pluck().all());
const stop = { latched: true, why: "smoke", by: "user:ann", at: 7, nonce: "a".repeat(16) };

test("a reset takes all data away, tells how much, and the next start is a first one", async () => {
  expect(await reset()).toMatchObject({ decisions: 5, unsent: 0, others: [] });
  expect(left()).toEqual([]);
  await live(at.data, 1);
  expect(reasons()).toEqual(["first"]);
  expect(verifyLog({ directory: at.data })).toMatchObject({ ok: true });
});

test("a reset leaves what is not Holdfast's, and tells of it", async () => {
  writeFileSync(join(at.data, "notes.txt"), "mine");
  expect(await reset()).toMatchObject({ others: ["notes.txt"] });
  expect(left()).toEqual(["notes.txt"]);
});

test("a gateway that keeps its identity goes on as the same one, with a break in its log", async () => {
  const key = readFileSync(join(at.data, "gateway.key"), "utf8");
  mkdirSync(join(at.data, "fleet"));
  await reset({ keepIdentity: true });
  expect(left().sort()).toEqual(["fleet", "gateway.key", "gateway.pub", "position.json"]);
  expect(readFileSync(join(at.data, "gateway.key"), "utf8")).toBe(key);
  await live(at.data, 1);
  expect(inside(at.data, (db) => db.prepare("SELECT ordinal, reason FROM epoch").all())).toEqual([
    { ordinal: 2, reason: "recovered" },
  ]);
  expect(verifyLog({ directory: at.data })).toMatchObject({ ok: true });
});

test("what the fleet has not stored is not deleted without its own word", async () => {
  await expect(reset({ hasFleet: true })).rejects.toMatchObject({ code: "RESET_UNSENT", detail: { records: 8 } });
  expect(inside(at.data, (db) => db.prepare("SELECT count(*) FROM record WHERE kind = 1").pluck().get())).toBe(5);
  expect(await reset({ hasFleet: true, discardUnsent: true })).toMatchObject({ unsent: 8 });
  expect(left()).toEqual([]);
});

test("a reset stops at a person's no, and where a daemon runs", async () => {
  await expect(reset({ confirm: async () => false })).rejects.toMatchObject({ code: "RESTORE_UNCONFIRMED" });
  const { store } = await openTestStore(at.data);
  await expect(reset()).rejects.toMatchObject({ code: "RESTORE_RUNNING" });
  await store.stop();
  expect(existsSync(join(at.data, "records.db"))).toBe(true);
});

test("a gateway that is stopped stays so after a reset, unless it is released with it", async () => {
  writeLatchDurably(latchPath(at.data), stop);
  expect(await reset()).toMatchObject({ latch: stop });
  expect(readLatch(latchPath(at.data))).toEqual({ kind: "read", note: stop });
  await live(at.data, 1);
  await reset({ releaseLatch: true });
  expect(readLatch(latchPath(at.data))).toMatchObject({ kind: "read", note: { latched: false } });
});

test("a stop that only control.db knows of outlives a reset", async () => {
  const { store } = await openTestStore(at.data);
  await store.control.change({ kind: "meta", name: "latch", value: JSON.stringify(stop) });
  await store.stop();
  await reset();
  expect(readLatch(latchPath(at.data))).toEqual({ kind: "read", note: stop });
});

test("a database that can not be read keeps nobody from a reset, but a fleet may not have all of it", async () => {
  for (const name of ["records.db", "control.db"]) writeFileSync(join(at.data, name), "damage ".repeat(999));
  await expect(reset({ hasFleet: true })).rejects.toMatchObject({ code: "RESET_UNSENT", detail: { records: null } });
  expect(left()).toContain("records.db");
  expect(await reset()).toMatchObject({ decisions: null, unsent: 0 });
  expect(left()).toEqual([]);
});
