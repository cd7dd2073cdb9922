import { spawnSync } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Reserve } from "../../../daemon/act/reserve.ts";
import { SmallDisk } from "../../../scripts/trial/small-disk.ts";
import type { Intent } from "../../../sync/records.ts";
import { temporaryDirectory } from "../store/support.ts";

const intentOf = (n: number, more = ""): Intent => ({ id: `intent-${n}`, tool: "stop", more }) as unknown as Intent;

describe("the reserve for a full disk", () => {
  test("gives back after a crash what it was given, and nothing that the log has", async () => {
    const directory = temporaryDirectory();
    const reserve = new Reserve(directory);
    expect(await reserve.start()).toEqual([]);
    for (let n = 0; n < 3; n++) expect(await reserve.keep(intentOf(n))).toBe(true);
    await reserve.release("intent-1");
    await reserve.stop();
    const again = new Reserve(directory);
    expect((await again.start()).map(({ id }) => id)).toEqual(["intent-0", "intent-2"]);
    await again.stop();
  });

  test("has an end, and takes nothing that does not fit", async () => {
    const reserve = new Reserve(temporaryDirectory());
    await reserve.start();
    expect(await reserve.keep(intentOf(99, "x".repeat(5000)))).toBe(false);
    const { free } = reserve;
    for (let n = 0; n < free; n++) expect(await reserve.keep(intentOf(n))).toBe(true);
    expect(reserve.free).toBe(0);
    expect(await reserve.keep(intentOf(100))).toBe(false);
    await reserve.stop();
  });

  test("does not believe what was torn, and makes itself whole again", async () => {
    const directory = temporaryDirectory();
    const reserve = new Reserve(directory);
    await reserve.start();
    await reserve.keep(intentOf(1));
    await reserve.keep(intentOf(2));
    await reserve.stop();
    const path = join(directory, "reserve");
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(30) ^ 1, 30);
    writeFileSync(path, bytes);
    const torn = new Reserve(directory);
    expect((await torn.start()).map(({ id }) => id)).toEqual(["intent-2"]);
    await torn.stop();
    truncateSync(path, 100);
    const cut = new Reserve(directory);
    expect(await cut.start()).toEqual([]);
    expect(await cut.keep(intentOf(3))).toBe(true);
    await cut.stop();
  });

  test.runIf(process.getuid?.() === 0)(
    "is none where there was no room for it, and loses nothing that it had",
    async () => {
      const disk = new SmallDisk(temporaryDirectory(), 4);
      try {
        const reserve = new Reserve(disk.folder);
        await reserve.start();
        await reserve.keep(intentOf(1));
        await reserve.stop();
        truncateSync(join(disk.folder, "reserve"), 4096);
        disk.fillTo(0);
        spawnSync("sh", ["-c", 'while printf %04096d 0 >> "$0"; do :; done', join(disk.folder, "rest")]);
        const none = new Reserve(disk.folder);
        expect((await none.start()).map(({ id }) => id)).toEqual(["intent-1"]);
        expect({ isThere: none.isThere, free: none.free }).toEqual({ isThere: false, free: 0 });
        expect(await none.keep(intentOf(2))).toBe(false);
        disk.free();
        const again = new Reserve(disk.folder);
        expect((await again.start()).map(({ id }) => id)).toEqual(["intent-1"]);
        expect(again.isThere).toBe(true);
        await again.stop();
      } finally {
        disk.remove();
      }
    },
  );
});
