import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { loadFleetServer } from "../../config/fleet-server.ts";
import { lockFolder } from "../../fleet/folder-lock.ts";
import { openDatabase } from "../../fleet/open.ts";
import { openPglite } from "../../fleet/pglite.ts";

const synced = vi.hoisted(() => ({ count: 0 }));
// Counted on their way to the kernel: nothing else tells whether a power cut would have taken it.
vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  const fsyncSync = (opened: number): void => {
    real.fsyncSync(opened);
    synced.count += 1;
  };
  return { ...real, fsyncSync };
});

const folder = mkdtempSync(join(tmpdir(), "holdfast-embedded-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a COMMIT of the embedded database is on the disk", async () => {
  const database = await openPglite(join(folder, "durable"));
  const [settings] = await database.query(
    "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit, current_setting('wal_sync_method') AS how",
  );
  // Its fdatasync does nothing.
  expect(settings).toEqual({ fsync: "on", commit: "on", how: "fsync" });
  await database.query("CREATE TABLE t (n int)");
  const before = synced.count;
  for (let n = 0; n < 10; n++) await database.query("INSERT INTO t VALUES ($1)", [n]);
  expect(synced.count - before).toBeGreaterThanOrEqual(10);
  await database.close();
});

test("one process has the folder, until it ends however it ends", async () => {
  const config = loadedConfig();
  const database = await openDatabase({ config, baseDirectory: folder });
  await expect(openDatabase({ config, baseDirectory: folder })).rejects.toMatchObject({ code: "FLEET_BUSY" });
  await database.close();
  const again = await openDatabase({ config, baseDirectory: folder });
  await again.close();
  const died = spawnSync(process.execPath, [
    ...["--input-type=module", "-e"],
    `import Sqlite from "better-sqlite3";
     const lock = new Sqlite(${JSON.stringify(join(folder, "taken.lock"))});
     lock.exec("BEGIN EXCLUSIVE");
     process.kill(process.pid, "SIGKILL");`,
  ]);
  expect(died.signal).toBe("SIGKILL");
  lockFolder(join(folder, "taken")).release();
});

function loadedConfig() {
  const file = join(folder, "holdfast-fleet.yaml");
  writeFileSync(file, `fleet: north\nbrokers: ["mqtt://127.0.0.1:1"]\ndatabase: "pglite://one"\n`);
  const loaded = loadFleetServer(file);
  if (!loaded.ok) throw new Error("the file has mistakes");
  return loaded.config;
}
