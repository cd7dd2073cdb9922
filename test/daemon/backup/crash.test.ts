import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { settleDirectory } from "../../../daemon/backup/swap.ts";
import { childPath } from "../../../daemon/children.ts";
import { latchPath, readLatch } from "../../../daemon/latch-file.ts";
import { storeFiles } from "../../../daemon/store/files.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { inside, temporaryDirectory } from "../store/support.ts";
import { backup, live, restore, type Site, site } from "./site.ts";

const dist = dirname(dirname(childPath("daemon/main")));
const child = fileURLToPath(new URL("swap-child.mjs", import.meta.url));

const before = ["latch.create.before", "latch.create.after", "swap.before"];
const after = [
  ...["swap.begun", "swap.out", "swap.out:2", "swap.out:3", "swap.out:5", "swap.between", "swap.in", "swap.in:2"],
  ...["swap.in:4", "swap.after", "swap.dropped", "swap.done"],
];

let used: Site;

/** Five decisions are in the backup, nine in the directory. */
beforeAll(async () => {
  used = await site(5);
  await backup(used);
  await live(used.data, 4);
  // Where a store was opened is cleared away after each test.
  used = { ...used, data: copyOf(used.data) };
});

function died(what: "restore" | "reset", point: string, data: string): boolean {
  const options = JSON.stringify({ dist, data, archive: used.archive, what, point });
  const done = spawnSync(process.execPath, [child, options], { encoding: "utf8" });
  if (done.signal !== "SIGKILL" && done.status !== 0) throw new Error(done.stderr);
  return done.signal === "SIGKILL";
}

function copyOf(data: string): string {
  const copy = join(temporaryDirectory(), "data");
  cpSync(data, copy, { recursive: true });
  return copy;
}

const decisions = (data: string): unknown =>
  inside(data, (db) => db.prepare("SELECT count(*) FROM record WHERE kind = 1").pluck().get());
const reasons = (data: string): unknown =>
  inside(data, (db) => db.prepare("SELECT reason FROM epoch ORDER BY ordinal").pluck().all());
const leftovers = (data: string): string[] =>
  readdirSync(data).filter((name) => /^restore\.|^factory-reset/.test(name) || name.endsWith(".tmp"));

describe("a restore that is killed", () => {
  test.each(before.slice(2))("at %s has changed nothing", async (point) => {
    const data = copyOf(used.data);
    expect(died("restore", point, data)).toBe(true);
    settleDirectory(data);
    expect(leftovers(data)).toEqual([]);
    expect(decisions(data)).toBe(9);
    await live(data, 1);
    expect(reasons(data)).toEqual(["first", "clean", "clean"]);
    expect(verifyLog({ directory: data })).toMatchObject({ ok: true });
  });

  test.each(after)("at %s is finished by the next start", async (point) => {
    const data = copyOf(used.data);
    expect(died("restore", point, data)).toBe(true);
    settleDirectory(data);
    expect(leftovers(data)).toEqual([]);
    expect(decisions(data)).toBe(5);
    await live(data, 1);
    expect(reasons(data)).toEqual(["first", "restored"]);
    expect(verifyLog({ directory: data })).toMatchObject({ ok: true });
    expect(readLatch(latchPath(data))).toMatchObject({ kind: "read", note: { latched: false } });
  });

  test("is finished by the next restore too, which keeps what was there last", async () => {
    const data = copyOf(used.data);
    expect(died("restore", "swap.between", data)).toBe(true);
    await restore(used.archive, data);
    expect(leftovers(data)).toEqual([]);
    expect(decisions(data)).toBe(5);
    expect(readdirSync(data).filter((name) => name.startsWith("before-restore-"))).toHaveLength(1);
  });

  test.each(before.slice(0, 2))(
    "at %s in a new directory leaves nothing that a start would take for a log",
    (point) => {
      const data = temporaryDirectory();
      expect(died("restore", point, data)).toBe(true);
      settleDirectory(data);
      expect(existsSync(join(data, "records.db"))).toBe(false);
    },
  );
});

describe("a reset that is killed", () => {
  test("before its note is on disk has changed nothing", () => {
    const data = copyOf(used.data);
    expect(died("reset", "swap.before", data)).toBe(true);
    settleDirectory(data);
    expect(leftovers(data)).toEqual([]);
    expect(decisions(data)).toBe(9);
  });

  test("has let the ballast go by then, so that a full disk has room for the note", () => {
    const data = copyOf(used.data);
    expect(existsSync(storeFiles(data).ballast)).toBe(true);
    expect(died("reset", "swap.before", data)).toBe(true);
    expect(existsSync(storeFiles(data).ballast)).toBe(false);
  });

  test.each(after.filter((point) => !point.startsWith("swap.in")))("at %s is finished by the next start", (point) => {
    const data = copyOf(used.data);
    expect(died("reset", point, data)).toBe(true);
    settleDirectory(data);
    expect(readdirSync(data).filter((name) => !/^(?:latch|lock\.)/.test(name))).toEqual([]);
  });
});
