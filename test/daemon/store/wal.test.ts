import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { openTestStore, put } from "./support.ts";

const text = "w".repeat(500);

async function write(store: Awaited<ReturnType<typeof openTestStore>>["store"], rows: number): Promise<void> {
  for (let at = 0; at < rows; at += 500) {
    put(store, 500, { text });
    await store.flush();
  }
}

test("the write-ahead log stays small under load", async () => {
  const { store } = await openTestStore(undefined, { maxBytes: 256 * 1024 * 1024 });
  await write(store, 30_000);
  const { largestWalBytes } = await store.figures();
  expect(largestWalBytes).toBeLessThan(8_000_000);
});

test("commits that change many pages write over the log's file, and do not let it grow anew", async () => {
  const { store } = await openTestStore(undefined, { maxBytes: 256 * 1024 * 1024 });
  const state = "s".repeat(400);
  for (let at = 0; at < 800; at++) {
    for (let scope = 0; scope < 24; scope++)
      store.project({ kind: "limit", scope: `${scope}/${at % 100}`, state: `${state}${at}` });
    put(store, 1);
    await store.flush();
  }
  expect(store.size().walBytes).toBeLessThan(4_400_000);
});

test("readers that read in pages do not make it grow", async () => {
  const { store, directory } = await openTestStore(undefined, { maxBytes: 256 * 1024 * 1024 });
  const reader = new Sqlite(join(directory, "records.db"), { readonly: true });
  const page = reader.prepare("SELECT * FROM record WHERE n > ? ORDER BY n LIMIT 500");
  for (let at = 0; at < 40; at++) {
    await write(store, 1000);
    page.all(at * 500);
  }
  reader.close();
  expect((await store.figures()).largestWalBytes).toBeLessThan(10_000_000);
});

test("one that holds the log open is told of, and the WAL shrinks when it ends", async () => {
  const { store, directory, notes } = await openTestStore(undefined, { maxBytes: 512 * 1024 * 1024 });
  await write(store, 500);
  const reader = new Sqlite(join(directory, "records.db"), { readonly: true });
  const held = reader.prepare("SELECT * FROM record").iterate();
  held.next();
  for (let at = 0; at < 40 && (await store.figures()).largestWalBytes < 18_000_000; at++) await write(store, 2000);
  await write(store, 6000);
  const during = await store.figures();
  expect(during.busyCheckpoints).toBeGreaterThan(0);
  expect(notes.map((note) => note.what)).toContain("a reader holds the write-ahead log");
  held.return?.();
  reader.close();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await write(store, 16_000);
  expect(store.size().walBytes).toBeLessThan(8_000_000);
});
