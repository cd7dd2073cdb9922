import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { snapshotDatabases } from "../../../daemon/backup/snapshot.ts";
import { createIds } from "../../../daemon/ids.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { openTestStore, temporaryDirectory } from "../store/support.ts";
import { backup, site } from "./site.ts";

test("copies both databases of a directory in which nothing runs, each as one file", async () => {
  const { data, folder } = await site(7);
  const into = join(folder, "into");
  mkdirSync(into);
  expect(await snapshotDatabases(data, into)).toEqual([join(into, "control.db"), join(into, "records.db")]);
  expect(readdirSync(into).sort()).toEqual(["control.db", "records.db"]);
  expect(verifyLog({ directory: into })).toMatchObject({ ok: true });
  const copy = new Sqlite(join(into, "records.db"), { readonly: true });
  expect(copy.prepare("SELECT count(*) FROM record WHERE kind = 1").pluck().get()).toBe(7);
  copy.close();
});

test("copies one moment of a log that is written to all the while", async () => {
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory);
  const newId = createIds();
  const agent = store.agentNumber("pump");
  const write = async (rows: number): Promise<void> => {
    for (let at = 0; at < rows; at++) {
      const wallMs = Date.now();
      const id = newId(wallMs);
      const body = JSON.stringify({ v: 1, kind: "decision", id, agent: "pump", text: "x".repeat(2000) });
      store.append({ stream: 1, kind: "decision", agent, id, wallMs, body });
    }
    await store.flush();
  };
  for (let at = 0; at < 8; at++) await write(1000);
  const into = temporaryDirectory();
  let isOver = false;
  const shares: number[] = [];
  const copying = snapshotDatabases(directory, into, { progress: (share) => shares.push(share) });
  const writing = (async () => {
    for (; !isOver; ) await write(20);
  })();
  await copying;
  isOver = true;
  await writing;
  expect(shares.length).toBeGreaterThan(3);
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(verifyLog({ directory: into })).toMatchObject({ ok: true });
});

test("ends at a stop, and leaves out what is not there", async () => {
  const { data } = await site();
  const stop = AbortSignal.abort();
  await expect(snapshotDatabases(data, temporaryDirectory(), { stop })).rejects.toMatchObject({
    code: "BACKUP_STOPPED",
  });
  expect(await snapshotDatabases(temporaryDirectory(), temporaryDirectory())).toEqual([]);
});

test("copies no file that is no database of a gateway", async () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, "records.db"), "hello ".repeat(999));
  await expect(snapshotDatabases(directory, temporaryDirectory())).rejects.toMatchObject({ code: "STORE_CORRUPT" });
});

describe.runIf(process.geteuid?.() === 0)("made by root of a directory that is somebody else's, a backup", () => {
  test.each([10, 2_000_000])("does not read a file of %i bytes that its owner may not", async (bytes) => {
    const at = await site(3);
    const folder = join(at.data, "models", "a".repeat(64));
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(at.data, { recursive: true, encoding: "utf8" }))
      chownSync(join(at.data, name), 54_321, 54_321);
    chownSync(at.data, 54_321, 54_321);
    chmodSync(at.folder, 0o755);
    await backup(at);
    // As a link would lead to it that is put there between the look and the reading.
    writeFileSync(join(folder, "model.onnx"), Buffer.alloc(bytes, "s"), { mode: 0o600 });
    await expect(backup(at)).rejects.toMatchObject({ code: "EACCES" });
  });

  test("leaves alone what somebody else has put beside it under such a name", async () => {
    const at = await site(3);
    const left = join(at.folder, ".backup.tar.gz.partial-999999");
    mkdirSync(left);
    chownSync(left, 54_321, 54_321);
    await backup(at);
    expect(existsSync(left)).toBe(true);
  });
});
