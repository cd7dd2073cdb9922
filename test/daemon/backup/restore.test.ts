import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import Sqlite from "better-sqlite3";
import { beforeEach, describe, expect, test } from "vitest";
import { makeStaged } from "../../../daemon/backup/swap.ts";
import { latchPath, readLatch, writeLatchDurably } from "../../../daemon/latch-file.ts";
import type { LatchNote } from "../../../daemon/latch-note.ts";
import { storeFiles } from "../../../daemon/store/files.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { snapshotBeforeUpgrade, snapshotsIn } from "../../../daemon/store/versions/snapshot.ts";
import { inside, openTestStore } from "../store/support.ts";
import { backup, live, restore, type Site, site } from "./site.ts";

let at: Site;
beforeEach(async () => {
  at = await site(5);
});

const decisions = (data: string): unknown =>
  inside(data, (db) => db.prepare("SELECT count(*) FROM record WHERE kind = 1").pluck().get());
const epochs = (data: string): { ordinal: number; reason: string }[] =>
  inside(data, (db) => db.prepare("SELECT ordinal, reason FROM epoch ORDER BY ordinal").all()) as never;
const stop = (nonce: string): LatchNote => ({
  latched: true,
  why: "smoke",
  by: "user:ann",
  at: 7,
  nonce: nonce.repeat(16),
});

function everything(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => !/^lock\./.test(name));
  return Object.fromEntries(
    files.map((name) => {
      const path = join(directory, name);
      return [name, statSync(path).isFile() ? readFileSync(path, "latin1") : "folder"];
    }),
  );
}

function contentOf(packed: Buffer): Buffer | undefined {
  try {
    return gunzipSync(packed);
  } catch {
    // Not to be unpacked any more.
    return undefined;
  }
}

/** Changes control.db as a daemon would. */
async function keepLatch(data: string, note: LatchNote): Promise<void> {
  const { store } = await openTestStore(data);
  await store.control.change({ kind: "meta", name: "latch", value: JSON.stringify(note) });
  await store.stop();
}

describe("a backup that is restored", () => {
  test("is followed by a start that tells of it, and uses no number twice", async () => {
    await backup(at);
    await live(at.data, 3);
    await live(at.data, 3);
    const { n } = JSON.parse(readFileSync(join(at.data, "position.json"), "utf8")) as { n: number };
    const { aside } = await restore(at.archive, at.data);
    expect(decisions(at.data)).toBe(5);
    await live(at.data, 1);
    expect(epochs(at.data)).toEqual([
      { ordinal: 1, reason: "first" },
      { ordinal: 4, reason: "restored" },
    ]);
    expect(
      inside(at.data, (db) => db.prepare("SELECT min(n) FROM record WHERE epoch = 4").pluck().get()),
    ).toBeGreaterThan(n);
    expect(inside(at.data, (db) => db.prepare("SELECT reason FROM gap").pluck().all())).toEqual(["restored"]);
    expect(verifyLog({ directory: at.data })).toMatchObject({ ok: true });
    expect(decisions(join(at.data, aside ?? ""))).toBe(11);
  });

  test("is told of also where nothing was written since, and where the directory is a new one", async () => {
    await backup(at);
    await restore(at.archive, at.data);
    await live(at.data, 1);
    expect(epochs(at.data).map(({ reason }) => reason)).toEqual(["first", "restored"]);
    const elsewhere = join(at.folder, "elsewhere");
    await restore(at.archive, elsewhere);
    await live(elsewhere, 1);
    expect(epochs(elsewhere).map(({ reason }) => reason)).toEqual(["first", "restored"]);
    await live(elsewhere, 1);
    expect(epochs(elsewhere).map(({ reason }) => reason)).toEqual(["first", "restored", "clean"]);
    expect(verifyLog({ directory: elsewhere })).toMatchObject({ ok: true });
  });

  test("is a gateway that moved on another machine", async () => {
    await backup(at);
    const elsewhere = join(at.folder, "elsewhere");
    await restore(at.archive, elsewhere);
    await live(elsewhere, 1, { fingerprint: "machine-2" });
    expect(epochs(elsewhere).map(({ reason }) => reason)).toEqual(["first", "moved"]);
    expect(verifyLog({ directory: elsewhere })).toMatchObject({ ok: true });
  });

  test("is not mixed with what an upgrade had copied of the log before it", async () => {
    await backup(at);
    const other = await site(30);
    const tomorrow = { known: { records: 4, control: 9 }, spareBytes: 0 };
    snapshotBeforeUpgrade(storeFiles(other.data), Date.now(), tomorrow);
    const { aside } = await restore(at.archive, other.data);
    expect(snapshotsIn(storeFiles(other.data))).toEqual([]);
    expect(snapshotsIn(storeFiles(join(other.data, aside ?? "")))).toHaveLength(1);
    inside(other.data, (db) => db.pragma("user_version = 4"), false);
    await expect(live(other.data, 1)).rejects.toMatchObject({ code: "STORE_NEWER" });
    expect(decisions(other.data)).toBe(5);
  });

  test("begins an epoch of its own beside a clone that goes on", async () => {
    await backup(at);
    const clone = join(at.folder, "clone");
    await restore(at.archive, clone);
    await live(clone, 2);
    await live(at.data, 2);
    const ids = [clone, at.data].map((data) =>
      inside(data, (db) => db.prepare("SELECT hex(id) FROM epoch ORDER BY ordinal").pluck().all()),
    ) as [string[], string[]];
    expect(ids[0][0]).toBe(ids[1][0]);
    expect(ids[0][1]).not.toBe(ids[1][1]);
  });

  test("takes the ways back of the log before it away with that log", async () => {
    await backup(at);
    mkdirSync(join(at.data, "upgrade", "form-1-1-7"), { recursive: true });
    writeFileSync(join(at.data, "records.db.older"), "half a way back");
    const { aside } = await restore(at.archive, at.data);
    const names = ["upgrade", "records.db.older"];
    expect(names.filter((name) => existsSync(join(at.data, name)))).toEqual([]);
    expect(names.filter((name) => existsSync(join(at.data, aside ?? "", name)))).toEqual(names);
  });

  test("keeps what was there of the newest restore alone", async () => {
    await backup(at);
    const wallMs = Date.now();
    for (const ms of [0, 5000, 5000]) await restore(at.archive, at.data, { wallMs: wallMs + ms });
    expect(readdirSync(at.data).filter((name) => name.startsWith("before-restore-"))).toHaveLength(1);
  });

  test("brings the models that are missing, and leaves those that are there", async () => {
    const model = (data: string, digit: string) => join(data, "models", digit.repeat(64));
    const put = (folder: string, text: string): void => {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "model.onnx"), text);
    };
    put(model(at.data, "a"), "old");
    put(model(at.data, "b"), "old");
    await backup(at);
    rmSync(model(at.data, "a"), { recursive: true });
    put(model(at.data, "c"), "new");
    await restore(at.archive, at.data);
    for (const digit of "abc") expect(existsSync(model(at.data, digit)), digit).toBe(true);
  });

  test("without keys leaves the gateway's own in place, and brings none", async () => {
    mkdirSync(join(at.data, "fleet"));
    writeFileSync(join(at.data, "fleet", "fleet-ca.pem"), "x");
    const { manifest } = await backup(at, { withKeys: false });
    expect(manifest.files.map(({ path }) => path).filter((path) => /key|fleet/.test(path))).toEqual([]);
    const key = readFileSync(join(at.data, "gateway.key"), "utf8");
    await restore(at.archive, at.data);
    expect(readFileSync(join(at.data, "gateway.key"), "utf8")).toBe(key);
    const elsewhere = join(at.folder, "elsewhere");
    await restore(at.archive, elsewhere);
    expect(existsSync(join(elsewhere, "gateway.key"))).toBe(false);
    await live(elsewhere, 1);
    expect(verifyLog({ directory: elsewhere })).toMatchObject({ ok: true, signatures: { checked: true } });
  });

  test("has modes that show keys to nobody else", async () => {
    await backup(at);
    const elsewhere = join(at.folder, "elsewhere");
    await restore(at.archive, elsewhere);
    expect(statSync(join(elsewhere, "gateway.key")).mode & 0o777).toBe(0o600);
    expect(statSync(join(elsewhere, "records.db")).mode & 0o007).toBe(0);
  });
});

async function setModes(data: string, modes: Readonly<Record<string, string>>): Promise<void> {
  const { store } = await openTestStore(data);
  for (const [scope, mode] of Object.entries(modes)) await store.control.change({ kind: "mode", scope, mode });
  await store.stop();
}

function modesOf(data: string): unknown {
  const database = new Sqlite(storeFiles(data).control, { readonly: true });
  try {
    return Object.fromEntries(database.prepare("SELECT scope, mode FROM mode").raw().all() as [string, string][]);
  } finally {
    database.close();
  }
}

describe("modes and switches", () => {
  const inBackup = { gateway: "auto", "agent:a": "observe", "tool:t": "approve", "switch:agent:a": "on" };

  test("that were tightened since the backup stay so, and others are the backup's", async () => {
    await setModes(at.data, inBackup);
    await backup(at);
    await setModes(at.data, { gateway: "observe", "agent:a": "auto", "switch:agent:a": "off", "tool:new": "dryRun" });
    const { keptModes } = await restore(at.archive, at.data);
    expect([...keptModes].sort()).toEqual(["gateway", "switch:agent:a", "tool:new"]);
    expect(modesOf(at.data)).toEqual({
      ...{ gateway: "observe", "agent:a": "observe", "tool:t": "approve" },
      ...{ "switch:agent:a": "off", "tool:new": "dryRun" },
    });
  });

  test("that can not be read any more let nothing go beyond observing", async () => {
    await setModes(at.data, inBackup);
    await backup(at);
    for (const path of [storeFiles(at.data).control, storeFiles(at.data).controlCopy]) writeFileSync(path, "damaged");
    await restore(at.archive, at.data);
    expect(modesOf(at.data)).toEqual({
      ...{ gateway: "observe", "agent:a": "observe", "tool:t": "observe", "switch:agent:a": "off" },
    });
  });
});

describe("the latch", () => {
  test("stays set in a gateway that is stopped, whatever the backup says", async () => {
    await backup(at);
    writeLatchDurably(latchPath(at.data), stop("a"));
    expect((await restore(at.archive, at.data)).latch).toEqual(stop("a"));
    expect(readLatch(latchPath(at.data))).toEqual({ kind: "read", note: stop("a") });
  });

  test("stays set where control.db alone knows of it", async () => {
    await backup(at);
    await keepLatch(at.data, stop("b"));
    expect((await restore(at.archive, at.data)).latch).toEqual(stop("b"));
    expect(readLatch(latchPath(at.data))).toEqual({ kind: "read", note: stop("b") });
  });

  test("stays set where its file is missing, or is no latch", async () => {
    await backup(at);
    rmSync(latchPath(at.data));
    expect((await restore(at.archive, at.data)).latch).toMatchObject({ latched: true, why: /missing/ as never });
    writeFileSync(latchPath(at.data), "released, really");
    expect((await restore(at.archive, at.data)).latch).toMatchObject({ latched: true });
    expect(readLatch(latchPath(at.data))).toMatchObject({ kind: "read", note: { latched: true } });
  });

  test.each<[string, (data: string) => unknown]>([
    ["its file", (data) => writeLatchDurably(latchPath(data), stop("c"))],
    ["control.db", async (data) => await keepLatch(data, stop("c"))],
  ])("is set by a backup that was made while %s said so", async (_, latch) => {
    const released = readFileSync(latchPath(at.data));
    await latch(at.data);
    expect((await backup(at)).manifest.latched).toBe(true);
    writeFileSync(latchPath(at.data), released);
    await keepLatch(at.data, { ...stop("c"), latched: false });
    for (const data of [at.data, join(at.folder, "elsewhere")]) {
      expect((await restore(at.archive, data)).latch).toMatchObject({ latched: true, nonce: "c".repeat(16) });
      expect(readLatch(latchPath(data))).toMatchObject({ kind: "read", note: { latched: true } });
    }
  });

  test.each<[string, (path: string) => void]>([
    ["damaged", (path) => writeFileSync(path, "released, really")],
    ["missing", (path) => rmSync(path)],
  ])("is set on a new machine by a backup whose latch was %s, which is a stop", async (_, spoil) => {
    spoil(latchPath(at.data));
    expect((await backup(at)).manifest.latched).toBe(true);
    const data = join(at.folder, "elsewhere");
    expect((await restore(at.archive, data)).latch).toMatchObject({ latched: true });
    expect(readLatch(latchPath(data))).toMatchObject({ kind: "read", note: { latched: true } });
  });

  test("is not set where nobody stopped anything", async () => {
    expect((await backup(at)).manifest.latched).toBe(false);
    for (const data of [at.data, join(at.folder, "elsewhere")]) {
      expect((await restore(at.archive, data)).latch).toBeUndefined();
      expect(readLatch(latchPath(data))).toMatchObject({ kind: "read", note: { latched: false } });
    }
  });
});

describe("a backup", () => {
  const changed = { code: "BACKUP_CHANGED" };

  test("is refused where a restore was cut short, and leaves nothing", async () => {
    writeFileSync(join(at.data, "restore.json"), "{}");
    await expect(backup(at)).rejects.toMatchObject(changed);
    expect(existsSync(at.archive)).toBe(false);
  });

  test("has no database from before a restore beside one from after it", async () => {
    const control = join(at.data, "control.db");
    let isReplaced = false;
    const progress = (): void => {
      if (isReplaced) return;
      isReplaced = true;
      copyFileSync(control, `${control}.other`);
      renameSync(`${control}.other`, control);
    };
    await expect(backup(at, { progress })).rejects.toMatchObject(changed);
    expect(readdirSync(at.folder)).toEqual(["data"]);
  });
});

describe("a restore that is refused changes nothing", () => {
  let before: Record<string, string>;
  beforeEach(async () => {
    await backup(at);
    await live(at.data, 2);
    before = everything(at.data);
  });

  test("where a daemon uses the directory, and says which", async () => {
    const { store } = await openTestStore(at.data);
    await expect(restore(at.archive, at.data)).rejects.toMatchObject({
      code: "RESTORE_RUNNING",
      detail: { pid: process.pid },
    });
    await store.stop();
  });

  test("where a person says no", async () => {
    await expect(restore(at.archive, at.data, { confirm: async () => false })).rejects.toMatchObject({
      code: "RESTORE_UNCONFIRMED",
    });
    expect(everything(at.data)).toEqual(before);
  });

  test("where it is stopped", async () => {
    await expect(restore(at.archive, at.data, { stop: AbortSignal.abort() })).rejects.toMatchObject({
      code: "BACKUP_STOPPED",
    });
    expect(everything(at.data)).toEqual(before);
  });

  test("where one bit of the archive is another", async () => {
    const bytes = readFileSync(at.archive);
    for (let place = 12; place < bytes.length; place += Math.ceil(bytes.length / 25)) {
      const other = Buffer.from(bytes);
      other[place] = (other[place] as number) ^ 4;
      // Among zeros another distance may mean the same bytes.
      if (contentOf(other)?.equals(contentOf(bytes) as Buffer) === true) continue;
      writeFileSync(join(at.folder, "other"), other);
      await expect(
        restore(join(at.folder, "other"), at.data),
        `byte ${place} of ${bytes.length}`,
      ).rejects.toMatchObject({
        code: expect.stringMatching(/^BACKUP_/),
      });
      expect(everything(at.data)).toEqual(before);
    }
  });

  test("where the log in it was changed before, unless that is accepted", async () => {
    const db = new Sqlite(join(at.data, "records.db"));
    db.exec("UPDATE record SET body = replace(body, 'pump', 'PUMP') WHERE kind = 1");
    db.close();
    await backup(at);
    before = everything(at.data);
    await expect(restore(at.archive, at.data)).rejects.toMatchObject({ code: "BACKUP_CHAIN" });
    expect(everything(at.data)).toEqual(before);
    await restore(at.archive, at.data, { acceptBrokenChain: true });
  });

  test("and what an earlier one left lying is cleared away", async () => {
    const staged = makeStaged(at.data);
    copyFileSync(at.archive, join(staged, "x"));
    await expect(restore(at.archive, at.data, { confirm: async () => false })).rejects.toMatchObject({
      code: "RESTORE_UNCONFIRMED",
    });
    expect(everything(at.data)).toEqual(before);
  });
});
