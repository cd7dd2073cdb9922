import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { inside, openTestStore, put, temporaryDirectory } from "./support.ts";

function mountSmallDisk(path: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", path], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const until = (seen: () => unknown) => vi.waitFor(() => expect(seen()).toBeTruthy(), { timeout: 60_000, interval: 20 });

test("keeps what it can not commit, acknowledges nothing, and goes on by itself when there is room", async () => {
  const { store, directory, notes, failures } = await openTestStore();
  put(store, 10);
  await store.flush();
  store.pretendFull(true);
  put(store, 10);
  let isDurable = false;
  store.onDurable(() => {
    isDurable = true;
  });
  store.commitNow();
  await until(() => store.state().condition === "full");
  expect(store.state().reason).toContain("SQLITE_FULL");
  expect(isDurable).toBe(false);
  // What only reads is answered meanwhile.
  expect(await store.figures()).toMatchObject({ synchronous: 2 });
  store.pretendFull(false);
  await until(() => isDurable);
  await until(() => store.state().condition === "open");
  await store.stop();
  expect(failures).toEqual([]);
  expect(notes.map((note) => note.what)).toEqual(["store is full", "store is open"]);
  const kinds = inside(directory, (db) =>
    db.prepare("SELECT kind, count(*) FROM record WHERE kind IN (1, 9) GROUP BY kind").raw().all(),
  );
  expect(kinds).toEqual([
    [1, 20],
    [9, 1],
  ]);
  expect(verifyLog({ directory })).toMatchObject({ ok: true });
});

test("a disk that really is full: the ballast goes, nothing is lost, and it comes back", async (context) => {
  const disk = temporaryDirectory();
  if (!mountSmallDisk(disk)) context.skip("only root can mount a small disk");
  try {
    const directory = join(disk, "store");
    mkdirSync(directory);
    const { store, failures } = await openTestStore(directory, { ballastBytes: 262_144 });
    expect(statSync(join(directory, "ballast")).size).toBe(262_144);
    const filler = join(disk, "filler");
    writeFileSync(filler, Buffer.alloc(3_000_000));
    let durable = 0;
    let sent = 0;
    while (store.state().condition !== "full" && sent < 40_000) {
      put(store, 50, { text: "q".repeat(300) });
      sent += 50;
      const upTo = sent;
      store.onDurable(() => {
        durable = upTo;
      });
      store.commitNow();
      // No more waits than the disk has room for once the filler is gone, however slow it is.
      await until(() => durable === sent || store.state().condition === "full");
    }
    expect(store.state().condition).toBe("full");
    const atFull = inside(directory, (db) =>
      db.prepare("SELECT count(*) FROM record WHERE kind = 1").pluck().get(),
    ) as number;
    expect(durable).toBeLessThanOrEqual(atFull);
    expect(durable).toBeLessThan(sent);
    rmSync(filler);
    await until(() => store.state().condition === "open" && durable === sent);
    put(store, 5);
    await store.flush();
    store.minute();
    await store.stop();
    expect(failures).toEqual([]);
    expect(inside(directory, (db) => db.prepare("SELECT count(*) FROM record WHERE kind = 1").pluck().get())).toBe(
      sent + 5,
    );
    expect(
      inside(directory, (db) => db.prepare("SELECT count(*) FROM record WHERE kind = 9").pluck().get()),
    ).toBeGreaterThan(0);
    expect(verifyLog({ directory })).toMatchObject({ ok: true });
    expect(statSync(join(directory, "ballast")).size).toBe(262_144);
  } finally {
    execFileSync("umount", ["-l", disk]);
  }
});

test("starts on a disk that has become full, once there is room", async (context) => {
  const disk = temporaryDirectory();
  if (!mountSmallDisk(disk)) context.skip("only root can mount a small disk");
  try {
    const directory = join(disk, "store");
    const before = await openTestStore(directory, { ballastBytes: 65_536 });
    await before.store.stop();
    const filler = join(disk, "filler");
    const fill = (bytes: number) => {
      try {
        writeFileSync(filler, Buffer.alloc(bytes), { flag: "a" });
        return true;
      } catch {
        return false;
      }
    };
    for (const bytes of [1_000_000, 100_000, 4096]) while (fill(bytes));
    const opening = openTestStore(directory, { ballastBytes: 65_536 });
    const early = await Promise.race([
      opening.then(() => "open"),
      new Promise((resolve) => setTimeout(() => resolve("waits"), 600)),
    ]);
    rmSync(filler);
    const { store } = await opening;
    put(store, 3);
    await store.flush();
    expect(["open", "waits"]).toContain(early);
    expect(store.epoch().ordinal).toBe(2);
  } finally {
    execFileSync("umount", ["-l", disk]);
  }
});
